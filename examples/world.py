"""A PyBullet world: one articulated object, fixed in space, and a depth camera that sees it.

The world's frame is that of the object's base: z is up.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import pybullet
import torch
from simulated_object import SimulatedObject
from view import View

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.urdf import joint_name, link_name
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor

STEPS_PER_SECOND = 240
"""Steps of the simulation in a second: PyBullet's default."""
GRAVITY = 9.81
"""m/s^2."""
FRICTION = 1.0
"""Coefficient of friction between fingers and object. Chosen: rubber."""
COLOUR, OPENED_COLOUR = (0.75, 0.75, 0.72, 1.0), (0.9, 0.6, 0.2, 1.0)
"""Red, green, blue, alpha of the object, and of the part to open, in pictures."""
NEAR, FAR = 0.05, 10.0
"""Depths that the camera sees, m. Chosen."""
PIXEL = (0.0, 1.0)
"""Of the image's origin in the software renderer's pixels. Measured against the renderer of
``kinediff3d_core.simulation.render``: the median difference of depths is then below 0.05 mm."""


class World:
    """The simulation of one trial; leaving the ``with`` block ends it.

    Args:
        thing: the object. urdf: its file. seed: of the sensor's noise.
    """

    def __init__(self, thing: SimulatedObject, urdf: Path, seed: int) -> None:
        self.thing, self._steps = thing, 0
        self.client = pybullet.connect(pybullet.DIRECT)
        self._generator = torch.Generator().manual_seed(seed)
        pybullet.setGravity(0, 0, -GRAVITY, self.client)
        self.body = pybullet.loadURDF(
            str(urdf), useFixedBase=True, physicsClientId=self.client,
            flags=pybullet.URDF_USE_INERTIA_FROM_FILE)
        category = thing.scene.instances.category
        info = [pybullet.getJointInfo(self.body, i, self.client)
                for i in range(pybullet.getNumJoints(self.body, self.client))]
        by_name = {x[1].decode(): x[0] for x in info}
        by_link = {x[12].decode(): x[0] for x in info}
        self._joints = {i: by_name[joint_name(category.name, category.joints[i].name)]
                        for i in thing.scene.joints}
        self.link = by_link[link_name(category.name, thing.part)]
        for i, index in self._joints.items():
            pybullet.resetJointState(self.body, index, thing.start[i],
                                     physicsClientId=self.client)
            pybullet.setJointMotorControl2(
                self.body, index, pybullet.VELOCITY_CONTROL, targetVelocity=0.0,
                force=info[index][7], physicsClientId=self.client)
        for index in range(-1, len(info)):
            pybullet.changeDynamics(self.body, index, lateralFriction=FRICTION,
                                    physicsClientId=self.client)
            pybullet.changeVisualShape(
                self.body, index, physicsClientId=self.client,
                rgbaColor=OPENED_COLOUR if index == self.link else COLOUR)

    def __enter__(self) -> World:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        pybullet.disconnect(self.client)

    @property
    def positions(self) -> np.ndarray:
        """True joint positions (K-1,), rad or m; of joints that it lacks, those at the start."""
        positions = self.thing.start
        for i, index in self._joints.items():
            positions[i] = pybullet.getJointState(self.body, index, self.client)[0]
        return positions

    @property
    def opened(self) -> float:
        """Share, 0 to 1, of the way from the start to the true upper limit."""
        start, upper = self.thing.start[self.thing.joint], self.thing.limits[1]
        return float((self.positions[self.thing.joint] - start) / (upper - start))

    def holding_force(self, point: np.ndarray) -> float:
        """Force, N, at a point (3,) of the camera's frame that overcomes the joint's friction."""
        index, joint = self._joints[self.thing.joint], self.thing.joint
        friction = pybullet.getJointInfo(self.body, index, self.client)[7]
        estimate = self.thing.estimate(self.positions)
        of_joint = next(j for j in estimate.joints if j.name == self.thing.joint_name)
        if of_joint.joint_type == 'prismatic':
            return float(friction)
        T = next(p.T_camera_part for p in estimate.parts if p.name == self.thing.part)
        lever = np.cross(T[:3, :3] @ self.thing.scene.instances.axis[0, joint].double().numpy(),
                         point - T[:3, 3])
        return float(friction / np.linalg.norm(lever))

    @property
    def T_world_camera(self) -> np.ndarray:
        """(4, 4) m."""
        return np.linalg.inv(self.thing.T_camera_base)

    def step(self) -> None:
        """Simulate one step."""
        self._steps += 1
        pybullet.stepSimulation(self.client)

    def view(self) -> View:
        """The depth image and the mask, with the errors of the project's sensor model."""
        camera = self.thing.scene.intrinsics
        _, _, _, buffer, segments = self._render(camera.width, camera.height)
        z = FAR * NEAR / (FAR - (FAR - NEAR) * np.asarray(buffer, dtype=np.float64))
        segments = np.asarray(segments)
        depth = torch.from_numpy(np.where(segments >= 0, z, 0.0)).float()
        part = torch.from_numpy(np.where(segments == self.body, 0, -1))
        noisy, mask = apply_sensor(depth[None], part[None], self._generator,
                                   SensorModel(occluded=0.0))
        return View(self._steps / STEPS_PER_SECOND, noisy[0].numpy(), mask[0].numpy())

    def picture(self) -> np.ndarray:
        """A colour picture (H, W, 3) uint8 from where the camera is, white where nothing is."""
        camera = self.thing.scene.intrinsics
        pixels = self._render(camera.width, camera.height)[2]
        return np.asarray(pixels, dtype=np.uint8).reshape(
            camera.height, camera.width, 4)[..., :3]

    def _render(self, width: int, height: int) -> tuple:
        return pybullet.getCameraImage(
            width, height, _gl_pose(self.thing.T_camera_base).ravel('F').tolist(),
            _gl_projection(self.thing.scene.intrinsics).ravel('F').tolist(),
            renderer=pybullet.ER_TINY_RENDERER, physicsClientId=self.client)


def _gl_pose(T_camera_world: np.ndarray) -> np.ndarray:
    """OpenGL's view matrix (4, 4): its camera looks along -z, and its y is up."""
    return np.diag([1.0, -1.0, -1.0, 1.0]) @ T_camera_world


def _gl_projection(camera: Intrinsics) -> np.ndarray:
    """OpenGL's projection matrix (4, 4) of a pinhole camera."""
    projection = np.zeros((4, 4))
    projection[0, 0] = 2 * camera.fx / camera.width
    projection[1, 1] = 2 * camera.fy / camera.height
    projection[0, 2] = 1 - 2 * (camera.cx + PIXEL[0]) / camera.width
    projection[1, 2] = 2 * (camera.cy + PIXEL[1]) / camera.height - 1
    projection[2, 2] = -(FAR + NEAR) / (FAR - NEAR)
    projection[2, 3] = -2 * FAR * NEAR / (FAR - NEAR)
    projection[3, 2] = -1
    return projection
