"""Friction, damping and limits of a joint, from what it moves.

An estimate does not measure them. They are chosen so that a part stays where it is left, that a
hand moves it, and that it stops soon afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinediff3d_core.objects.estimate import JointEstimate
from kinediff3d_core.objects.mass import MassProperties

GRAVITY = 9.81
"""m/s^2."""
HOLD = 1.2
"""Friction of a joint, in terms of what the part's weight exerts along it where that is greatest,
while the object stands upright. Chosen: above one the part stays where it is left."""
LEAST = 0.2
"""Least friction, in terms of the part's weight, and for a revolute joint of the distance of the
centre of mass from the axis. Chosen: that of a drawer's rails."""
STOP_TIME = 0.2
"""Time in which damping alone slows the part to a third, s. Chosen."""
STRENGTH = 10.0
"""Greatest effort, in terms of the friction. Chosen: it moves the part with ease."""
VELOCITY = {'revolute': 3.0, 'prismatic': 1.0}
"""Greatest velocity of a joint, rad/s or m/s. Chosen: faster than a hand opens it."""


@dataclass(frozen=True)
class JointDynamics:
    """Dynamics of a joint as URDF states them.

    Attributes:
        damping: N m s/rad or N s/m. friction: N m or N.
        effort: greatest, N m or N. velocity: greatest, rad/s or m/s.
    """

    damping: float
    friction: float
    effort: float
    velocity: float


def joint_dynamics(joint: JointEstimate, moved: MassProperties) -> JointDynamics:
    """Dynamics of a joint that moves one part.

    Args:
        moved: the part's, in its frame, which has its origin on the axis.
    """
    axis = np.asarray(joint.axis, dtype=np.float64)
    axis = axis / np.linalg.norm(axis)
    weight = moved.mass * GRAVITY
    if joint.joint_type == 'prismatic':
        inertia, load, along = moved.mass, weight, abs(axis[2])
    else:
        arm = moved.centre - (moved.centre @ axis) * axis
        reach = float(np.linalg.norm(arm))
        inertia = float(axis @ moved.inertia @ axis) + moved.mass * reach ** 2
        load, along = weight * reach, float(np.hypot(axis[0], axis[1]))
    friction = load * max(HOLD * along, LEAST)
    return JointDynamics(inertia / STOP_TIME, friction, STRENGTH * friction,
                         VELOCITY[joint.joint_type])
