"""A two-finger gripper without an arm, in PyBullet: its hand is moved with a limited force.

The fingers hold a part by contact alone. They close along the direction in which the part moves,
one on each side of it, so that they push it open and shut; friction keeps them from sliding off.
As in a parallel gripper, the fingers are coupled: both are equally far from the middle. What
carries the hand compensates its weight, as arms do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pybullet
from gripper_urdf import MASSES, gripper_urdf
from scipy.spatial.transform import Rotation
from world import GRAVITY

from kinediff3d_core.objects.gripper import GRIPPER, GripperConfig

FRICTION = 1.0
"""Coefficient of friction of the fingers. Chosen: rubber."""
COLOUR = (0.25, 0.4, 0.7, 1.0)
"""Red, green, blue, alpha in pictures."""
FINGER_SPEED = 0.1
"""Of a finger that opens or closes, m/s. Chosen."""
COUPLING, COUPLING_FORCE = 0.5, 1000.0
"""Share of an error between the fingers that is corrected in a step, and the force that does it
at most, N. Chosen: a stiff gear."""


class FloatingGripper:
    """The gripper in a simulation.

    Args:
        client: of PyBullet. T_world_hand: (4, 4) where it starts, m.
        force: greatest force of the hand and of its grip, N.
    """

    def __init__(self, client: int, T_world_hand: np.ndarray, force: float,
                 config: GripperConfig = GRIPPER) -> None:
        self._client, self._force, self._config = client, force, config
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'gripper.urdf'
            path.write_text(gripper_urdf(config))
            position, quaternion = _bullet_pose(T_world_hand)
            self.body = pybullet.loadURDF(str(path), position, quaternion,
                                          physicsClientId=client)
        for index in range(-1, 2):
            pybullet.changeDynamics(self.body, index, lateralFriction=FRICTION,
                                    physicsClientId=client)
            pybullet.changeVisualShape(self.body, index, rgbaColor=COLOUR, physicsClientId=client)
        self._constraint = pybullet.createConstraint(
            self.body, -1, -1, -1, pybullet.JOINT_FIXED, [0, 0, 0], [0, 0, 0], position,
            childFrameOrientation=quaternion, physicsClientId=client)
        coupling = pybullet.createConstraint(
            self.body, 0, self.body, 1, pybullet.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0],
            physicsClientId=client)
        pybullet.changeConstraint(coupling, gearRatio=-1, erp=COUPLING, maxForce=COUPLING_FORCE,
                                  physicsClientId=client)
        self.target = T_world_hand
        self.move_to(T_world_hand)
        self.hold(config.stroke)

    @property
    def pose(self) -> np.ndarray:
        """T_world_hand (4, 4), m."""
        position, quaternion = pybullet.getBasePositionAndOrientation(self.body, self._client)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = Rotation.from_quat(quaternion).as_matrix(), position
        return T

    def place(self, T_world_hand: np.ndarray) -> None:
        """Put the hand at a pose (4, 4), without a motion there."""
        pybullet.resetBasePositionAndOrientation(self.body, *_bullet_pose(T_world_hand),
                                                 physicsClientId=self._client)
        self.move_to(T_world_hand)

    def move_to(self, T_world_hand: np.ndarray) -> None:
        """Pull the hand to a pose (4, 4) from now on."""
        self.target = T_world_hand
        position, quaternion = _bullet_pose(T_world_hand)
        pybullet.changeConstraint(self._constraint, position, quaternion, maxForce=self._force,
                                  physicsClientId=self._client)

    @property
    def width(self) -> float:
        """Distance between the fingers, m."""
        return float(sum(pybullet.getJointState(self.body, finger, self._client)[0]
                         for finger in (0, 1)))

    def open(self, distance: float) -> None:
        """Set the fingers this far, m, apart at once: nothing is between them."""
        half = self._half(distance)
        for finger in (0, 1):
            pybullet.resetJointState(self.body, finger, half, physicsClientId=self._client)
        self.hold(distance)

    def close(self) -> None:
        """Close the fingers from now on, with the limited force."""
        self._drive(pybullet.VELOCITY_CONTROL, targetVelocity=-FINGER_SPEED)

    def hold(self, distance: float) -> None:
        """Move the fingers this far, m, apart from now on, with the limited force."""
        self._drive(pybullet.POSITION_CONTROL, targetPosition=self._half(distance),
                    maxVelocity=FINGER_SPEED)

    def carry(self) -> None:
        """Bear the gripper's weight in the next step of the simulation."""
        up = self.pose[2, :3] * GRAVITY
        for index, mass in zip(range(-1, 2), MASSES, strict=True):
            pybullet.applyExternalForce(self.body, index, (mass * up).tolist(), [0, 0, 0],
                                        pybullet.LINK_FRAME, physicsClientId=self._client)

    def _half(self, distance: float) -> float:
        return float(np.clip(distance / 2, 0.0, self._config.stroke / 2))

    def _drive(self, mode: int, **target: float) -> None:
        """Drive both fingers, each with half of the limited force."""
        for finger in (0, 1):
            pybullet.setJointMotorControl2(self.body, finger, mode, force=self._force / 2,
                                           physicsClientId=self._client, **target)

    def touches(self, body: int, link: int) -> bool:
        """Whether a finger touches a link of another body."""
        return any(pybullet.getContactPoints(self.body, body, finger, link, self._client)
                   for finger in (0, 1))


def _bullet_pose(T: np.ndarray) -> tuple[list[float], list[float]]:
    """Position and quaternion (x, y, z, w) of a pose (4, 4)."""
    return T[:3, 3].tolist(), Rotation.from_matrix(T[:3, :3]).as_quat().tolist()
