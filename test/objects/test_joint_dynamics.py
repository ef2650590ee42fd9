"""Friction, damping and limits of joints."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.objects.joint_dynamics import GRAVITY, HOLD, LEAST, joint_dynamics
from kinediff3d_core.objects.mass import Material, mass_properties

JOINT = laptop_estimate().joints[0]
"""Turns about -y."""
LID = mass_properties(box_mesh((0.22, 0.33, 0.006), (0.11, 0.0, 0.0)), Material(1000.0))
DRAWER = replace(JOINT, joint_type='prismatic', axis=np.array([2.0, 0.0, 0.0]))


def test_a_lid_stays_where_it_is_left():
    found = joint_dynamics(JOINT, LID)
    assert found.friction == pytest.approx(HOLD * LID.mass * GRAVITY * 0.11)
    assert found.effort > found.friction
    inertia = LID.mass * (0.22 ** 2 / 3 + 0.006 ** 2 / 12)
    assert found.damping * 0.2 == pytest.approx(inertia, rel=1e-6)


def test_a_hinge_that_weight_does_not_turn_is_lighter():
    upright = joint_dynamics(replace(JOINT, axis=np.array([0.0, 0.0, 1.0])), LID)
    assert upright.friction == pytest.approx(LEAST * LID.mass * GRAVITY * 0.11)


def test_a_drawer_has_the_friction_of_its_rails():
    assert joint_dynamics(DRAWER, LID).friction == pytest.approx(LEAST * LID.mass * GRAVITY)
    lift = replace(DRAWER, axis=np.array([0.0, 0.0, 1.0]))
    assert joint_dynamics(lift, LID).friction == pytest.approx(HOLD * LID.mass * GRAVITY)
