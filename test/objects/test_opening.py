"""Opening paths: exact along the joint, between the limits."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import at_position, laptop_estimate

from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.opening import POSES, opening_path


@pytest.mark.parametrize('kind', ['revolute', 'prismatic'])
@pytest.mark.parametrize('target', [None, 0.2])
def test_each_pose_is_that_of_the_contact_at_a_joint_position(kind, target):
    """From the present position to the target, opening or closing, in equal steps."""
    base = laptop_estimate(0.0)
    joint = replace(base.joints[0], joint_type=kind, upper=2.5)
    estimate = at_position(replace(base, joints=(joint,)), 0.7)
    contact = contacts(estimate)[0]
    path = opening_path(estimate, contact, target)
    assert path.shape == (POSES, 4, 4)
    np.testing.assert_array_equal(path[0], contact.T_camera_contact)
    for q, T in zip(np.linspace(0.7, 2.5 if target is None else target, POSES), path, strict=True):
        lid = at_position(estimate, q).parts[1]
        np.testing.assert_allclose(T, lid.T_camera_part @ contact.T_part_contact, atol=1e-12)
    sense = 1 if target is None else -1
    steps = np.diff(path[:, :3, 3], axis=0)
    assert (sense * (steps * path[:-1, :3, 0]).sum(-1) > 0).all(), 'x is the motion'


def test_targets_beyond_the_limits_are_refused_with_the_limits():
    estimate = laptop_estimate(1.0)
    contact, joint = contacts(estimate)[0], estimate.joints[0]
    for target in (joint.lower, joint.upper, joint.upper + 1e-8):
        assert len(opening_path(estimate, contact, target, count=2)) == 2
    for target in (-0.1, 3.2, float('nan')):
        with pytest.raises(ValueError, match=r'lid_joint is .*its limits are 0 and 3\.14159'):
            opening_path(estimate, contact, target)
    with pytest.raises(ValueError, match='two at least'):
        opening_path(estimate, contact, count=1)
    with pytest.raises(ValueError, match="of 'door_joint'; the estimate has lid_joint"):
        opening_path(estimate, replace(contact, joint='door_joint'))
