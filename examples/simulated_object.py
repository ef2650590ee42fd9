"""Held-out procedural objects for a simulator: true states, meshes and a URDF."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kinediff3d_core.evaluation.exact_estimate import exact_estimate
from kinediff3d_core.evaluation.true_meshes import true_mesh
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.files import write_text
from kinediff3d_core.io.urdf_folder import write_obj
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_core.objects.urdf import urdf_string
from kinediff3d_core.simulation.camera import SimulatedScene
from kinediff3d_core.simulation.views import TEST_CAMERA
from kinediff3d_core.visualization.simplification import simplify_mesh

TRIANGLES = 4000
"""Triangles of a part's mesh at most. Chosen: the software renderer then draws an object in
0.1 s."""
STATES = 5
"""Joint states, over the whole range, that the camera must have in its image. Chosen."""
START_SHARES = {'drawer': 0.2}
"""By category, the share of its joint's range at which the part starts that will be opened; 0.1
in all others. Chosen: fingers cannot go behind a closed lid, which lies flush on its box. A front
is 1 to 3 cm thick, and a drawer's range 23 to 60 cm."""
START_SHARE = 0.1
"""See ``START_SHARES``."""


@dataclass(frozen=True)
class SimulatedObject:
    """One object of a category, seen from its test view, one part of which is to be opened.

    Attributes:
        scene: the object, its test view, and the camera.
        joint: index of the joint to open, among the category's.
    """

    scene: SimulatedScene
    joint: int

    @classmethod
    def sample(cls, category: str, seed: int, number: int,
               intrinsics: Intrinsics = TEST_CAMERA) -> SimulatedObject:
        """Object ``number`` of a seed, from its test view. Its first joint is to be opened.

        Raises:
            ValueError: unknown category.
        """
        scene = SimulatedScene.sample(category, seed, number, intrinsics, states=STATES)
        return cls(scene, scene.joints[0])

    @property
    def part(self) -> str:
        """The part to open."""
        category = self.scene.instances.category
        return category.parts[category.joints[self.joint].child]

    @property
    def joint_name(self) -> str:
        """The category's name of the joint to open."""
        return self.scene.instances.category.joints[self.joint].name

    @property
    def limits(self) -> tuple[float, float]:
        """True limits of the joint to open, rad or m."""
        one = self.scene.instances
        return float(one.lower[0, self.joint]), float(one.upper[0, self.joint])

    @property
    def start(self) -> np.ndarray:
        """Joint positions (K-1,) at which a trial starts, rad or m: all closed but one."""
        lower, upper = self.limits
        positions = self.scene.instances.lower[0].double().numpy().copy()
        share = START_SHARES.get(self.scene.instances.category.name, START_SHARE)
        positions[self.joint] = lower + share * (upper - lower)
        return positions

    @property
    def T_camera_base(self) -> np.ndarray:
        """(4, 4) m."""
        return self.scene.T_camera_base[0].double().numpy()

    @cached_property
    def meshes(self) -> dict[str, Mesh]:
        """True meshes of the parts that it has, each in its part frame, m."""
        one = self.scene.instances
        return {name: simplify_mesh(true_mesh(one, k), TRIANGLES)
                for k, name in enumerate(one.category.parts) if one.exists[0, k]}

    def estimate(self, positions: np.ndarray) -> ArticulatedEstimate:
        """The truth as an estimate without error, at joint positions (K-1,), rad or m."""
        return exact_estimate(self.scene.instances, self.meshes, positions, self.T_camera_base)

    def write(self, folder: Path) -> Path:
        """Path of the URDF with masses and true meshes; written unless it exists.

        Fingers go behind handles, so that the meshes themselves are the collision geometry, for
        which PyBullet has the attribute ``concave``. Convex pieces of a handle fill it.
        """
        path = folder / 'object.urdf'
        if not path.exists():
            (folder / 'meshes').mkdir(parents=True, exist_ok=True)
            for name, mesh in self.meshes.items():
                write_obj(mesh, folder / 'meshes' / f'{name}.obj')
            text = urdf_string(self.estimate(self.start))
            write_text(path, text.replace('<collision>', '<collision concave="yes">'))
        return path
