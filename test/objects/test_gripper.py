"""The gripper's boxes among surfaces."""

import numpy as np
import pytest
from estimates import box_mesh, random_pose

from kinediff3d_core.objects.estimate import transform_mesh
from kinediff3d_core.objects.gripper import GripperConfig, Obstacles, gripper_boxes
from kinediff3d_core.objects.part_surface import part_surface

GRIPPER = GripperConfig(finger_thickness=0.01, finger_width=0.02, finger_length=0.05,
                        hand=(0.03, 0.03, 0.1), insertion=0.02, clearance=0.003)


def test_the_fingers_are_beside_what_is_held_and_the_hand_behind_them():
    hand, right, left = gripper_boxes(np.array([0.006, 0.1, 0.3]), GRIPPER)
    np.testing.assert_allclose(right, ((0.006, -0.01, -0.03), (0.016, 0.01, 0.02)))
    np.testing.assert_allclose(left, ((-0.016, -0.01, -0.03), (-0.006, 0.01, 0.02)))
    np.testing.assert_allclose(hand, ((-0.016, -0.015, -0.13), (0.016, 0.015, -0.03)))
    shallow = gripper_boxes(np.array([0.006, 0.1, 0.004]), GRIPPER)[1]
    np.testing.assert_allclose(shallow, ((0.006, -0.01, -0.046), (0.016, 0.01, 0.004)))


@pytest.mark.parametrize(('centre', 'free'), [
    ((0.0, 0.0, 0.05), True),       # ahead of the hand, between the fingers
    ((0.011, 0.0, 0.0), False),     # in a finger
    ((-0.011, 0.0, -0.02), False),
    ((0.011, 0.018, 0.0), True),    # beside the finger
    ((0.02, 0.0, 0.0), True),
    ((0.0, 0.0, -0.1), False),      # in the hand
    ((0.0, 0.0, -0.14), True),      # behind it
])
def test_an_obstacle_is_met_where_a_box_is(centre, free):
    """In any frame of the obstacle; it is a cube of 4 mm, and what is held is 6 mm thick."""
    T_other, T_part = random_pose(1), random_pose(2)
    T_part_contact = random_pose(3)
    cube = box_mesh((0.004, 0.004, 0.004), centre)
    in_other = transform_mesh(np.linalg.inv(T_other) @ T_part @ T_part_contact, cube)
    obstacles = Obstacles({'other': part_surface(in_other)}, {'other': T_other, 'part': T_part},
                          'part')
    assert obstacles.leave_free(T_part_contact, np.array([0.006, 0.1, 0.3]), GRIPPER) == free
