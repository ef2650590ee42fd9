"""Test views: held-out procedural objects, third-party objects of a folder, or a data set's.

Sample i of a seed is always the same object, view and noise, whatever the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.datasets.dataset import Dataset
from kinediff3d_core.data.mesh_objects import list_objects, load_object
from kinediff3d_core.data.object_views import object_range, render_object, sample_object_view
from kinediff3d_core.data.surfaces import Surface, draw_points
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.data.visible_surface import visible_surfaces
from kinediff3d_core.evaluation.shape_metrics import SAMPLES
from kinediff3d_core.evaluation.true_meshes import true_mesh
from kinediff3d_core.evaluation.visibility import POINTS, visible_share
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.category import Category, get_category
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.simulation.families import (
    held_out_generator,
    require_family,
    sample_instances,
)
from kinediff3d_core.simulation.real_world import RealWorld
from kinediff3d_core.simulation.render import pixel_rays, render_depth
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.surroundings import Surroundings, add_surroundings, situation
from kinediff3d_core.simulation.views import (
    TEST_CAMERA,
    TEST_VIEWS,
    PosedObjects,
    box_corners,
    pose_objects,
    posed_corners,
    state_range,
)

Array = np.ndarray[Any, Any]

SAMPLES_A_SEED = 100_003
"""Two seeds of evaluations share no sample whose number is below this."""


LEAST_SEEN = 400
"""Fewest pixels of the object with a depth, in views with surroundings. Chosen."""


@dataclass(frozen=True)
class Sample:
    """One test view.

    Attributes:
        index: its number under the seed.
        name: the object's.
        depth: (H, W) m, with the sensor's noise; 0 where there is no measurement.
        mask: (H, W) bool.
        intrinsics: of the camera.
        truth: the object.
        generate_at: (J,) new joint positions at which generation is scored.
        visibility: share of the object's surface that the camera sees, 0..1; NaN if unknown.
        notes: what of the truth is inferred, a line each.
        metres: length of the unit in which lengths are reported, that of a data set.
    """

    index: int
    name: str
    depth: Array
    mask: Array
    intrinsics: Intrinsics
    truth: Truth
    generate_at: Array
    visibility: float
    notes: tuple[str, ...] = ()
    metres: float = 1.0


class UnusableView(ValueError):
    """A view of a data set that cannot be scored.

    Attributes:
        name: the view's.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


Samples = Callable[[int], Sample]
"""Gives the sample of a number; may raise :class:`UnusableView`."""


@dataclass(frozen=True)
class ExactView:
    """A posed object and its image without noise.

    Attributes:
        name: the object's.
        parts: K indices into its category's parts that the object has, the base first.
        depth, part: (H, W) exact depth, m, and index of the part.
        T_camera_part: (K, 4, 4).
        positions: (J,), and origin, axis: (J, 3), of the joints that the object has.
        centres: (K, 3) of the parts' boxes.
        lower, upper: (J,) range of positions at which generation is scored.
        surfaces: K, from which visibility is measured.
    """

    name: str
    parts: Sequence[int]
    depth: Tensor
    part: Tensor
    T_camera_part: Tensor
    positions: Tensor
    origin: Any
    axis: Any
    centres: Any
    lower: Array
    upper: Array
    surfaces: tuple[Surface, ...]


def _truth(spec: Category, view: ExactView) -> Truth:
    """The truth of a view, without surfaces."""
    parts = view.parts
    joints = [j for j in spec.joints if j.child in parts]
    row = {k: i for i, k in enumerate(parts)}
    return Truth(
        spec.name, tuple(spec.parts[k] for k in parts), tuple(j.name for j in joints),
        tuple(j.joint_type for j in joints), tuple(row[j.parent] for j in joints),
        tuple(row[j.child] for j in joints), view.T_camera_part.double().cpu().numpy(),
        view.positions.double().cpu().numpy(), np.asarray(view.origin, dtype=np.float64),
        np.asarray(view.axis, dtype=np.float64), None,
        np.asarray(view.centres, dtype=np.float64))


def _measured(index: int, truth: Truth, view: ExactView, generator: torch.Generator,
              sensor: SensorModel) -> Sample:
    """The sample of a view: with noise, a mask, and positions to generate at."""
    noisy, mask = apply_sensor(view.depth[None], view.part[None], generator, sensor,
                               pixel_rays(TEST_CAMERA)[None])
    share = torch.rand(len(view.lower), generator=generator).double().numpy()
    points = draw_points(view.surfaces, list(truth.T_camera_part), POINTS,
                         np.random.default_rng(index))
    visible = visible_share(points, view.depth.numpy(), mask[0].numpy(), TEST_CAMERA)
    return Sample(index, view.name, noisy[0].numpy(), mask[0].numpy(), TEST_CAMERA, truth,
                  view.lower + share * (view.upper - view.lower), visible)


def point_surfaces(instances: Instances) -> tuple[Surface, ...]:
    """Points on the parts of one procedural object, without meshes, which take longer."""
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    half = instances.half[0]
    faces = 8 * (half * half.roll(1, -1)).sum(-1) * instances.present[0]
    out = []
    for k in torch.nonzero(instances.exists[0])[:, 0].tolist():
        p, _ = instances.surface_points(k, POINTS, torch.Generator().manual_seed(k))
        area = sum(float(f) for f, slot in zip(faces, instances.slots, strict=True)
                   if slot.part == k and not slot.cut)
        out.append(Surface(empty, p[0].double().numpy(),
                           area * float(instances.exists[0, k])))
    return tuple(out)


def procedural_samples(category: str, seed: int = 0, shapes: bool = True,
                       sensor: SensorModel | None = None, world: RealWorld | None = None,
                       ) -> Samples:
    """Held-out procedural objects, a new one in every sample.

    Args:
        world: views, surroundings and sensor instead of those of the protocol; samples may then
            raise :class:`UnusableView`.
        shapes: give the truth its surfaces (some tenths of a second for each sample).

    Raises:
        ValueError: unknown category, or one without a procedural family.
    """
    spec = get_category(category)
    require_family(category)

    def sample(index: int) -> Sample:
        generator = held_out_generator(seed * SAMPLES_A_SEED + index)
        one = sample_instances(category, 1, generator)
        posed = pose_objects(one, generator, world.views if world else TEST_VIEWS, train=False)
        q, T_camera_base = posed.q, posed.T_camera_base
        depth, part = render_depth(one, q, T_camera_base, TEST_CAMERA)
        if world:
            depth, part = _surrounded(one, posed, (depth, part), generator, world.surroundings)
        parts = torch.nonzero(one.exists[0])[:, 0].tolist()
        joints = [i for i, j in enumerate(spec.joints) if j.child in parts]
        surfaces = tuple(Surface(true_mesh(one, k)) for k in parts) if shapes else None
        low, high = (x[0, joints].double().numpy() for x in state_range(one))
        view = ExactView(
            f'procedural/{seed}/{index}', parts, depth[0], part[0],
            one.part_poses(q, T_camera_base)[0, parts], q[0, joints], one.origin[0, joints],
            one.axis[0, joints], one.bounds[0, parts].mean(1), low, high,
            surfaces or point_surfaces(one))
        truth = replace(_truth(spec, view), surfaces=surfaces)
        errors = world.sensor if world else sensor or SensorModel()
        made = _measured(index, truth, view, generator, errors)
        if world and (made.mask & (made.depth > 0) & (view.part >= 0).numpy()).sum() < LEAST_SEEN:
            raise UnusableView(view.name, 'the object is hidden')
        return made

    return sample


def _surrounded(one: Instances, posed: PosedObjects, images: tuple[Tensor, Tensor],
                generator: torch.Generator, model: Surroundings) -> tuple[Tensor, Tensor]:
    """Depth and part images (1, H, W) of one object with its surroundings."""
    shape = images[0].shape
    rays = pixel_rays(TEST_CAMERA).view(1, -1, 3)
    where = situation(posed.T_camera_base, posed.R_ground_base,
                      posed_corners(one, posed.q, posed.T_camera_base),
                      box_corners(one.bounds[:, 0]), one.category.azimuth)
    depth, part = add_surroundings(images[0].flatten(1), images[1].flatten(1), rays, where,
                                   generator, model)
    return depth.view(shape), part.view(shape)


def object_samples(root: Path | str, category: str, seed: int = 0, shapes: bool = True,
                   sensor: SensorModel | None = None) -> Samples:
    """Third-party objects of a folder, one after the other.

    Only what can be seen of their meshes from outside is the true surface
    (:func:`kinediff3d_core.data.visible_surface.visible_surface`).

    Raises:
        ValueError: no such folder or category, or an object that cannot be loaded.
    """
    spec = get_category(category)
    objects = [load_object(folder) for folder in list_objects(root, category)]
    seen: dict[int, tuple[Surface, ...]] = {}

    def sample(index: int) -> Sample:
        generator = held_out_generator(seed * SAMPLES_A_SEED + index)
        i = index % len(objects)
        obj = objects[i]
        q, T_camera_base = sample_object_view(obj, generator)
        depth, part = render_object(obj, q, T_camera_base, TEST_CAMERA)
        if i not in seen:
            seen[i] = visible_surfaces(obj.meshes, 2 * SAMPLES if shapes else POINTS)
        low, high = object_range(obj)
        view = ExactView(obj.name, [spec.parts.index(name) for name in obj.parts], depth, part,
                         obj.part_poses(q, T_camera_base), q, obj.origin, obj.axis,
                         np.asarray(obj.bounds).mean(1), low, high, seen[i])
        truth = replace(_truth(spec, view), surfaces=seen[i] if shapes else None)
        return _measured(index, truth, view, generator, sensor or SensorModel())

    return sample


def dataset_samples(dataset: Dataset, category: str, seed: int = 0, shapes: bool = True,
                    ) -> Samples:
    """The views of a data set, in its order; the sensor's own noise is all that they have.

    Samples raise :class:`UnusableView` where a file is broken or the view has no mask.

    Args:
        seed: of the positions at which generation is scored.
        shapes: keep the truth's surfaces, where there are any.
    """
    low, high = get_category(category).test_range
    names = dataset.views(category)

    def sample(index: int) -> Sample:
        name = names[index]
        try:
            view = dataset.read_view(name)
        except (ValueError, OSError) as error:
            raise UnusableView(name, ' '.join(str(error).split())) from error
        if view.mask is None:
            raise UnusableView(name, 'there is no mask')
        truth = view.truth if shapes else replace(view.truth, surfaces=None)
        share = np.random.default_rng([seed, index]).random(len(truth.positions))
        return Sample(index, name, view.depth, view.mask, view.intrinsics, truth,
                      low + share * (high - low), nan, view.notes, view.metres)

    return sample
