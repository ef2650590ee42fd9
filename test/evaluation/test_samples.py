"""Test views of procedural objects."""

import math

import numpy as np
from estimates import box_mesh
from open3d_or_skip import import_open3d

from kinediff3d_core.evaluation.samples import object_samples, procedural_samples
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, PartEstimate


def test_samples_depend_on_seed_and_number_only():
    a = procedural_samples('laptop', seed=1, shapes=False)
    b = procedural_samples('laptop', seed=1, shapes=False)
    first, again = a(2), (b(5), b(2))[1]
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_array_equal(first.generate_at, again.generate_at)
    np.testing.assert_array_equal(first.truth.T_camera_part, again.truth.T_camera_part)
    other = procedural_samples('laptop', seed=2, shapes=False)(2)
    assert not np.array_equal(first.truth.origin, other.truth.origin)
    assert first.truth.surfaces is None
    low, high = math.radians(10), math.radians(130)
    assert low <= first.truth.positions[0] <= high and low <= first.generate_at[0] <= high


def test_objects_of_a_folder_may_lack_the_first_moving_part(tmp_path):
    """Also then each part and joint has its own name, pose and axis."""
    import_open3d()
    origin, T = np.array([0.21, 0.25, 0.0]), np.eye(4)
    T[:3, 3] = origin
    joint = JointEstimate('door_right_joint', 'revolute', 'base', 'door_right', origin,
                          np.array([0.0, 0.0, 1.0]), 0.0, 0.0, 1.6, 0.0)
    parts = (PartEstimate('base', np.eye(4), box_mesh((0.4, 0.6, 0.8))),
             PartEstimate('door_right', T, box_mesh((0.02, 0.5, 0.7))))
    estimate = ArticulatedEstimate('cabinet', parts, (joint,), np.zeros((6, 6)), 0.0, 1.0, (),
                                   np.zeros(0), np.zeros((0, 3)))
    write_urdf(estimate, tmp_path / 'cabinet_right')
    sample = object_samples(tmp_path, 'cabinet', shapes=False)(0)
    truth = sample.truth
    assert truth.part_names == ('base', 'door_right')
    assert truth.joint_names == ('door_right_joint',) and truth.children == (1,)
    assert len(sample.generate_at) == len(truth.positions) == 1
    np.testing.assert_allclose(truth.axis, [[0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(truth.origin, [origin], atol=1e-6)
