"""Objects that a data set gives as meshes: in our canonical frame, in metres, and rendered.

None of these data sets has a unit. An object is scaled to the size of its category
(:data:`HALF_DIAGONAL`).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from math import cos, radians
from typing import Any

import numpy as np
import torch

from kinediff3d_core.data.datasets.canonical import StatedJoint, StatedModel, canonical_model
from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.object_views import render_object, sample_object_view
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.views import TEST_CAMERA

Array = np.ndarray[Any, Any]

HALF_DIAGONAL = {'laptop': 0.22, 'eyeglasses': 0.09, 'dishwasher': 0.70, 'scissors': 0.10,
                 'drawer': 0.66, 'box': 0.18, 'stapler': 0.07, 'cutter': 0.09,
                 'cabinet': 0.69}
"""Half of the diagonal of an object's box, m, by category. Measured: the median of 200 procedural
objects at joint positions of test views (test/data/datasets/test_mesh_models.py)."""
UPRIGHT = ('laptop', 'eyeglasses', 'dishwasher', 'drawer', 'box', 'stapler',
           'cabinet')
"""Categories whose canonical z is up when the object stands or is worn."""
TILT_DEG = 25.0
"""Largest angle between canonical z and the upward direction of the data set, degrees. Chosen: as
that of joint axes (:mod:`kinediff3d_core.data.placement`)."""
AXIS_POINTS = 2000
"""Points of each part from which the canonical axes are found. Chosen."""
SURFACE_POINTS = 60_000
"""Points that stand for a part's visible surface: twice those that a Chamfer distance draws."""


@dataclass(frozen=True)
class PlacedObject:
    """An object in its category's canonical frame.

    Attributes:
        obj: its parts and joints.
        positions: (J,) at the data set's zero, rad or m.
        parts: (K,) index of each part in the data set.
        T_model_part: (K, 4, 4) canonical part frames in the model's frame, at its zero, m.
        metres: length of the model's unit.
    """

    obj: MeshObject
    positions: Array
    parts: tuple[int, ...]
    T_model_part: Array
    metres: float = 1.0

    def resized(self, factor: float) -> PlacedObject:
        """The object, in another unit of the model's; its joints are revolute."""
        T = self.T_model_part.copy()
        T[:, :3, 3] *= factor
        obj = replace(self.obj, origin=self.obj.origin * factor, meshes=tuple(
            Mesh(m.vertices * factor, m.faces) for m in self.obj.meshes))
        return replace(self, obj=obj, T_model_part=T, metres=self.metres * factor)

    @property
    def closed_diagonal(self) -> float:
        """Diagonal of the box of all parts at q = 0, m."""
        poses = self.obj.part_poses(torch.zeros(len(self.obj.joints)), torch.eye(4)).numpy()
        ends = np.concatenate([m.vertices + T[:3, 3] for m, T in zip(self.obj.meshes, poses,
                                                                     strict=True)])
        return float(np.linalg.norm(np.ptp(ends, axis=0)))


@dataclass(frozen=True)
class MeshModel:
    """An object of meshes as a data set states it: all parts in one frame, at its own zero.

    Attributes:
        name: of the object in the data set.
        category: name of ours.
        meshes: one a part, the base first, m.
        joints: one for each moving part in the order of the meshes, all with the base as parent.
        up: (3,) upward direction of the frame, where the data set has one.
    """

    name: str
    category: str
    meshes: tuple[Mesh, ...]
    joints: tuple[StatedJoint, ...]
    up: Array | None = None


def canonical_object(model: MeshModel) -> PlacedObject:
    """The object in its category's canonical frame, with the category's names and order.

    Raises:
        ValueError: its joints are not those of the category, its axes cannot be found, or it does
            not stand upright in them.
    """
    category = get_category(model.category)
    rng = np.random.default_rng(0)
    # Vertices alone are few where a surface is flat; they are kept for the boxes.
    points = tuple(np.concatenate([m.vertices, sample_mesh(m, AXIS_POINTS, rng)])
                   for m in model.meshes)
    found = canonical_model(StatedModel(category, points, model.joints, model.up))
    if model.up is not None and model.category in UPRIGHT:
        if found.T_model_part[0, :3, 2] @ model.up < cos(radians(TILT_DEG)):
            raise ValueError(f'in the canonical axes that its joints give, this {category.name} '
                             f'does not stand within {TILT_DEG:g}° of the data set\'s upright')
    meshes = tuple(transform_mesh(np.linalg.inv(T), model.meshes[k])
                   for k, T in zip(found.parts, found.T_model_part, strict=True))
    obj = MeshObject(model.name, category.name, found.part_names, found.joints,
                     meshes, found.origin)
    still = np.broadcast_to(np.eye(4), (len(model.meshes), 4, 4))
    return PlacedObject(obj, found.truth(still).positions, found.parts, found.T_model_part)


def rendered_view(name: str, obj: MeshObject, surfaces: tuple[Surface, ...],
                  positions: Array | None = None, notes: tuple[str, ...] = ()) -> DatasetView:
    """A test view of an object; camera, joints and the sensor's noise follow from its name.

    Args:
        name: of the view.
        surfaces: of the object's parts.
        positions: (J,) joint positions that the data set states, rad or m; None draws them.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    posed = obj
    if positions is not None:
        posed = replace(obj, joints=tuple(replace(j, lower=q, upper=q) for j, q in zip(
            obj.joints, positions.tolist(), strict=True)))
    q, T = sample_object_view(posed, generator)
    if positions is not None:  # what is drawn stays within the range of test views
        q = torch.from_numpy(positions).to(q)
    depth, part = render_object(obj, q, T, TEST_CAMERA)
    noisy, mask = apply_sensor(depth[None], part[None], generator, SensorModel())
    return DatasetView(name, noisy[0].numpy(), mask[0].numpy(), TEST_CAMERA,
                       object_truth(obj, obj.part_poses(q.double(), T.double()).numpy(),
                                    q.double().numpy(), surfaces), notes)


def object_truth(obj: MeshObject, T_camera_part: Array, positions: Array,
                 surfaces: tuple[Surface, ...] | None) -> Truth:
    """The truth of a posed object."""
    return Truth(obj.category, obj.parts, tuple(j.name for j in obj.joints),
                 tuple(j.joint_type for j in obj.joints), tuple(j.parent for j in obj.joints),
                 tuple(j.child for j in obj.joints), T_camera_part, positions, obj.origin,
                 obj.axis, surfaces, obj.bounds.mean(1))
