"""Running a pipeline over test views and scoring it (docs/evaluation.md).

Sample i of a seed is always the same object, view and noise, whatever the number of samples.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.mesh_objects import (
    MeshObject,
    list_objects,
    load_object,
    object_range,
    render_object,
    sample_object_view,
    visible_surface,
)
from kinediff3d_core.evaluation.calibration import predicted
from kinediff3d_core.evaluation.metrics import (
    SAMPLES,
    Surface,
    Truth,
    draw_points,
    generation_metrics,
    mode_metrics,
    pose_metrics,
    shape_metrics,
    statistics,
    summarise,
)
from kinediff3d_core.evaluation.symmetry import equivalents, nearest
from kinediff3d_core.evaluation.visibility import POINTS, THIRDS, thirds, visible_share
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.category import CATEGORIES, Category, get_category
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    Mesh,
    NoEstimate,
    transform_mesh,
)
from kinediff3d_core.simulation.families import FAMILIES, held_out_generator, sample_instances
from kinediff3d_core.simulation.render import render_depth, with_used_slots
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.views import TEST_CAMERA, sample_views, state_range

if TYPE_CHECKING:
    from kinediff3d_core.inference.pipeline import Pipeline

Array = np.ndarray[Any, Any]
Summary = dict[str, dict[str, float]]

SAMPLES_A_SEED = 100_003
"""Seeds of two evaluations do not share samples below this number."""

TRUE_VOXEL = (0.0015, 0.0015, 0.0006)
"""Cells of the true meshes, m, at most a quarter of the part; their vertices are then moved onto
the exact surface."""

LARGE = 0.25
"""Diagonal of a part, m, from which on the cells grow with it."""

BY_VISIBILITY = ('cd_w', 'rot_err_deg', 'trans_err_m', 'joint_state_err')
"""Metrics that are told for each third of the views by visibility."""


@dataclass(frozen=True)
class Sample:
    """One test view.

    Attributes:
        index: its number under the seed.
        name: of the object.
        depth: (H, W) m, as the sensor gives it; 0 where it gives nothing.
        mask: (H, W) bool.
        intrinsics: of the camera.
        truth: the object as it stands.
        generate_at: (J,) new joint positions at which generation is scored.
        visibility: share of the object's surface that the camera sees, 0..1.
    """

    index: int
    name: str
    depth: Array
    mask: Array
    intrinsics: Intrinsics
    truth: Truth
    generate_at: Array
    visibility: float


@dataclass(frozen=True)
class Record:
    """The scores of one sample; ``metrics`` is None where there was no estimate."""

    index: int
    name: str
    metrics: dict[str, float] | None
    reason: str = ''
    visibility: float = nan
    category: str = ''


Samples = Callable[[int], Sample]
"""Sample by number."""

Method = Callable[['Pipeline', Sample, bool, int], ArticulatedEstimate]
"""Estimate of a sample, with meshes or without, for a seed; may raise :class:`NoEstimate`."""


def true_mesh(instances: Instances, part: int) -> Mesh:
    """The surface of a part of one procedural object, in its part frame, m.

    Marching cubes, then Newton steps along the exact distance: vertices lie on the surface to
    within a micrometre away from edges.
    """
    if len(instances) != 1:
        raise ValueError(f'one object wanted, got {len(instances)}')
    instances = with_used_slots(instances)
    size = instances.bounds[0, part, 1] - instances.bounds[0, part, 0]
    voxel = torch.minimum(torch.tensor(TRUE_VOXEL) * (size.norm() / LARGE).clamp_min(1), size / 4)
    mesh = _marched(instances, part, voxel, 0.003)
    p = torch.from_numpy(mesh.vertices).float()
    reach = 0.5 * float(voxel.min())
    for _ in range(2):
        # On flat faces many vertices are on the surface already, and gradients are dear.
        off = torch.nonzero(instances.part_sdf(part, p[None])[0])[:, 0]
        d, normal = instances.sdf_gradient(part, p[None, off])
        p[off] -= d[0].clamp(-reach, reach)[:, None] * normal[0]
    return Mesh(p.double().numpy(), mesh.faces)


def draft_mesh(instances: Instances, part: int) -> Mesh:
    """The same for pictures: cells are a 300th of the diagonal, less in thin parts.

    Walls that are thinner than a cell have holes.
    """
    size = instances.bounds[0, part, 1] - instances.bounds[0, part, 0]
    voxel = torch.minimum(size.norm() / 300, size / 8).clamp_min(2e-4)
    return _marched(instances, part, voxel, 2 * voxel)


def _marched(instances: Instances, part: int, voxel: Tensor, margin: Tensor | float) -> Mesh:
    low, high = instances.bounds[0, part]
    return extract_mesh(lambda p: instances.part_sdf(part, p[None])[0], low - margin,
                        high + margin, voxel, keep='all')


def _truth(spec: Category, parts: Sequence[int], T_camera_part: Tensor, q: Tensor, origin: Any,
           axis: Any, surfaces: tuple[Surface, ...] | None, centres: Any) -> Truth:
    """The truth of an object that has ``parts`` (K) of its category, the base first.

    Args:
        T_camera_part: (K, 4, 4). q: (K-1,) and origin, axis: (K-1, 3) of the joints it has.
        centres: (K, 3) of the parts' boxes.
    """
    joints = [j for j in spec.joints if j.child in parts]
    place = {k: i for i, k in enumerate(parts)}
    return Truth(
        spec.name, tuple(spec.parts[k] for k in parts), tuple(j.name for j in joints),
        tuple(j.joint_type for j in joints), tuple(place[j.parent] for j in joints),
        tuple(place[j.child] for j in joints), T_camera_part.double().cpu().numpy(),
        q.double().cpu().numpy(), np.asarray(origin, dtype=np.float64),
        np.asarray(axis, dtype=np.float64), surfaces, np.asarray(centres, dtype=np.float64))


def _finished(index: int, name: str, depth: Tensor, part: Tensor, truth: Truth,
              surfaces: Sequence[Surface], low: Array, high: Array, generator: torch.Generator,
              sensor: SensorModel) -> Sample:
    """The sample of an exact image: with noise, a mask, and a state to generate at."""
    noisy, mask = apply_sensor(depth[None], part[None], generator, sensor)
    share = torch.rand(len(low), generator=generator).double().numpy()
    points = draw_points(surfaces, list(truth.T_camera_part), POINTS, np.random.default_rng(index))
    return Sample(index, name, noisy[0].numpy(), mask[0].numpy(), TEST_CAMERA, truth,
                  low + share * (high - low),
                  visible_share(points, depth.numpy(), mask[0].numpy(), TEST_CAMERA))


def point_surfaces(instances: Instances) -> tuple[Surface, ...]:
    """Points on the parts of one procedural object instead of its meshes: quick, to draw from."""
    nothing = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    half = instances.half[0]
    faces = 8 * (half * half.roll(1, -1)).sum(-1) * instances.present[0]
    out = []
    for k in torch.nonzero(instances.exists[0])[:, 0].tolist():
        p, _ = instances.surface_points(k, POINTS, torch.Generator().manual_seed(k))
        area = sum(float(f) for f, slot in zip(faces, instances.slots, strict=True)
                   if slot.part == k and not slot.cut)
        out.append(Surface(nothing, p[0].double().numpy(),
                           area * float(instances.exists[0, k])))
    return tuple(out)


def procedural_samples(category: str, seed: int = 0, shapes: bool = True,
                       sensor: SensorModel | None = None) -> Samples:
    """Held-out procedural objects, a new one in every sample.

    Args:
        shapes: give the truth its surfaces (some tenths of a second a sample).

    Raises:
        ValueError: unknown category, or one without a procedural family.
    """
    spec = get_category(category)
    if category not in FAMILIES:
        raise ValueError(f'no procedural family for category {category!r}; known: '
                         f'{", ".join(sorted(FAMILIES))}')

    def sample(index: int) -> Sample:
        generator = held_out_generator(seed * SAMPLES_A_SEED + index)
        one = sample_instances(category, 1, generator)
        q, T_camera_base = sample_views(one, generator)
        depth, part = render_depth(one, q, T_camera_base, TEST_CAMERA)
        parts = torch.nonzero(one.exists[0])[:, 0].tolist()
        joints = [i for i, j in enumerate(spec.joints) if j.child in parts]
        surfaces = tuple(Surface(true_mesh(one, k)) for k in parts) if shapes else None
        truth = _truth(spec, parts, one.part_poses(q, T_camera_base)[0, parts], q[0, joints],
                       one.origin[0, joints], one.axis[0, joints], surfaces,
                       one.bounds[0, parts].mean(1))
        low, high = (x[0, joints].double().numpy() for x in state_range(one))
        return _finished(index, f'procedural/{seed}/{index}', depth[0], part[0], truth,
                         surfaces or point_surfaces(one), low, high, generator,
                         sensor or SensorModel())

    return sample


def object_samples(root: Path | str, category: str, seed: int = 0, shapes: bool = True,
                   sensor: SensorModel | None = None) -> Samples:
    """Third-party objects of a folder, in turn.

    Of their meshes only what can be seen from outside counts as the true surface
    (:func:`kinediff3d_core.data.mesh_objects.visible_surface`).

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
            seen[i] = visible_surfaces(obj, 2 * SAMPLES if shapes else POINTS)
        truth = _truth(spec, range(len(obj.parts)), obj.part_poses(q, T_camera_base), q,
                       obj.origin, obj.axis, seen[i] if shapes else None,
                       np.asarray(obj.bounds).mean(1))
        low, high = object_range(obj)
        return _finished(index, obj.name, depth, part, truth, seen[i], low, high, generator,
                         sensor or SensorModel())

    return sample


def visible_surfaces(obj: MeshObject, count: int) -> tuple[Surface, ...]:
    """The surfaces of an object's parts, without what no camera can see, as ``count`` points."""
    rng = np.random.default_rng(0)
    out = []
    for mesh in obj.meshes:
        points, triangles, area = visible_surface(mesh, count, rng)
        out.append(Surface(triangles, points, area))
    return tuple(out)


def ours(pipeline: Pipeline, sample: Sample, mesh: bool, seed: int) -> ArticulatedEstimate:
    """What the pipeline infers."""
    return pipeline.infer(depth=sample.depth, intrinsics=sample.intrinsics, mask=sample.mask,
                          mesh=mesh, seed=seed)


def score(pipeline: Pipeline, sample: Sample, seed: int = 0, samples: int = SAMPLES,
          method: Method = ours) -> tuple[Record, ArticulatedEstimate | None]:
    """Infer one sample and compare it with the truth; shapes too where the truth has them."""
    started = time.perf_counter()
    try:
        estimate = method(pipeline, sample, sample.truth.surfaces is not None, seed)
    except NoEstimate as reason:
        return Record(sample.index, sample.name, None, str(reason), sample.visibility,
                      sample.truth.category), None
    seconds = time.perf_counter() - started
    metrics = compare(pipeline, estimate, sample, seed, samples)
    metrics['seconds'] = seconds
    metrics.update({f'seconds_{stage}': t for stage, t in estimate.seconds.items()})
    return Record(sample.index, sample.name, metrics, '', sample.visibility,
                  sample.truth.category), estimate


def compare(pipeline: Pipeline, estimate: ArticulatedEstimate, sample: Sample, seed: int = 0,
            samples: int = SAMPLES) -> dict[str, float]:
    """All metrics of an estimate; those of shapes where the truth has surfaces.

    Of truths that are equally true (:func:`equivalents`) the nearest one counts. Beside the
    errors stands what the estimate says of them itself (:func:`predicted`).
    """
    every = equivalents(sample.truth)
    sample = replace(sample, truth=nearest(estimate, sample.truth))
    metrics = (pose_metrics(estimate, sample.truth) | mode_metrics(estimate, every)
               | predicted(estimate))
    if sample.truth.surfaces is None:
        return metrics
    rng = np.random.default_rng([seed, sample.index])
    metrics.update(shape_metrics(estimate, sample.truth, rng, samples))
    wanted = dict(zip(sample.truth.joint_names, sample.generate_at.tolist(), strict=True))
    # Joints that the object does not have stay where they were seen.
    made = pipeline.generate(estimate, [wanted.get(j.name, j.position) for j in estimate.joints])
    names = [p.name for p in estimate.parts]
    for prefix, meshes in (('gen_', made.decoder), ('gen_chain_', made.chain)):
        scores = generation_metrics(meshes, names, estimate, sample.truth, sample.generate_at,
                                    rng, samples, parts=prefix == 'gen_')
        metrics.update({prefix + name: value for name, value in scores.items()})
    return metrics


def evaluate(pipeline: Pipeline, samples: Samples, count: int, seed: int = 0,
             progress: Callable[[int], None] | None = None, pictures: Path | None = None,
             worst: int = 3, points: int = SAMPLES, method: Method = ours) -> list[Record]:
    """Score samples 0 to count - 1.

    Args:
        progress: is told the number of samples done.
        pictures: folder for the ``worst`` estimates by rotation error: a preview beside the
            truth, and the inputs, ready for ``kinediff3d infer``.
        points: drawn on a surface for one Chamfer distance.
        method: what to score; one of :mod:`kinediff3d_core.evaluation.baselines` instead of ours.

    Raises:
        ValueError: count is not positive.
    """
    if count < 1:
        raise ValueError(f'the number of samples must be positive, got {count}')
    records: list[Record] = []
    kept: list[tuple[float, int, Sample, ArticulatedEstimate]] = []
    for index in range(count):
        sample = samples(index)
        if index == 0:  # The first call of a process sets things up; it is not timed.
            score(pipeline, sample, seed, samples=100, method=method)
        record, estimate = score(pipeline, sample, seed, points, method)
        records.append(record)
        if pictures is not None and estimate is not None and record.metrics is not None:
            entry = (record.metrics['rot_err_deg'], index, sample, estimate)
            if len(kept) < worst:
                heapq.heappush(kept, entry)
            else:
                heapq.heappushpop(kept, entry)
        if progress is not None:
            progress(index + 1)
    if pictures is not None:
        for rank, (error, _, sample, estimate) in enumerate(sorted(kept, reverse=True), start=1):
            write_case(pictures / f'worst_{rank}', sample, estimate, error)
    return records


def write_case(folder: Path, sample: Sample, estimate: ArticulatedEstimate, error: float) -> None:
    """A sample's picture beside the truth, and its inputs as files that ``infer`` reads."""
    from kinediff3d_core.visualization.preview import draw_preview

    folder.mkdir(parents=True, exist_ok=True)
    truth = sample.truth
    meshes = None if truth.surfaces is None else [
        transform_mesh(T, s.mesh)
        for T, s in zip(truth.T_camera_part, truth.surfaces, strict=True)]
    draw_preview(estimate, folder / 'preview.png', meshes,
                 f'{sample.name}: rotation error {error:.1f}°', truth.T_camera_part[0])
    write_inputs(folder, sample)


def write_inputs(folder: Path, sample: Sample) -> None:
    """``depth.png`` (16 bit, mm), ``mask.png`` and ``camera_info.yaml`` of a sample."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(sample.mask, dtype=np.uint8) * 255).save(folder / 'mask.png')
    millimetres = np.round(sample.depth * 1000).clip(0, 65535).astype(np.uint16)
    Image.fromarray(millimetres).save(folder / 'depth.png')
    c = sample.intrinsics
    (folder / 'camera_info.yaml').write_text(
        f'width: {c.width}\nheight: {c.height}\n'
        f'k: [{c.fx}, 0.0, {c.cx}, 0.0, {c.fy}, {c.cy}, 0.0, 0.0, 1.0]\n')


def units(category: str) -> dict[str, str]:
    """Units of metrics for tables, by the metric's name."""
    joints = CATEGORIES[category].joints if category in CATEGORIES else ()
    slides = bool(joints) and all(j.joint_type == 'prismatic' for j in joints)
    return {'rot_err_deg': '°', 'trans_err_m': 'm', 'axis_err_deg': '°', 'axis_pos_err_m': 'm',
            'joint_state_err': 'm' if slides else '°'}


def table(category: str, summary: Mapping[str, Mapping[str, float]]) -> str:
    """The summary of a category as text."""
    unit = units(category)
    rows = [(name, unit.get(name, 's' if name.startswith('seconds') else
                            '/1000' if 'cd_' in name else ''), values)
            for name, values in summary.items() if not name.endswith('_third')]
    wide = max((len(name) for name, _, _ in rows), default=6)
    lines = [f'{category:<{wide}}  {"unit":>5}  {"mean":>9} {"median":>9} {"std":>9} {"n":>5}']
    for name, what, v in rows:
        lines.append(f'{name:<{wide}}  {what:>5}  {v["mean"]:9.4g} {v["median"]:9.4g} '
                     f'{v["std"]:9.4g} {int(v["n"]):5d}')
    told = [name for name in ('visibility', *BY_VISIBILITY, 'failure_rate')
            if any(f'{name}_{third}_third' in summary for third in THIRDS)]
    if told:
        lines.append(f'{"means by visibility":<{wide}}  {"unit":>5}  '
                     + ' '.join(f'{third:>9}' for third in THIRDS))
    for name in told:
        means = [summary.get(f'{name}_{third}_third', {}).get('mean', nan) for third in THIRDS]
        what = unit.get(name, '/1000' if 'cd_' in name else '')
        lines.append(f'{name:<{wide}}  {what:>5}  ' + ' '.join(f'{m:9.4g}' for m in means))
    return '\n'.join(lines)


def write_summaries(path: Path, summaries: Mapping[str, Summary]) -> None:
    """Write ``{category: {metric: {mean, median, std, n}}}``, complete or not at all."""
    write_text(path, json.dumps(summaries, indent=1, allow_nan=False) + '\n')


def origin_path(summaries: Path) -> Path:
    """Where it is written down how a file of summaries was made."""
    return summaries.with_name(f'{summaries.stem}.meta.json')


def write_origin(summaries: Path, origin: Mapping[str, Any]) -> None:
    """Write the command, settings and machine beside a file of summaries."""
    write_text(origin_path(summaries), json.dumps(origin, indent=1) + '\n')


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write one JSON line a sample; figures have six digits."""
    def short(metrics: dict[str, float] | None) -> dict[str, float] | None:
        return metrics and {name: float(f'{value:.6g}') for name, value in metrics.items()}

    write_text(path, ''.join(json.dumps(
        {'category': r.category, 'index': r.index, 'object': r.name, 'metrics': short(r.metrics),
         'reason': r.reason, 'visibility': float(f'{r.visibility:.6g}')}) + '\n'
        for r in records))


def read_all_records(path: Path) -> dict[str, list[Record]]:
    """What :func:`write_records` wrote, in order, by category.

    Raises:
        ValueError: a line that is not a record.
    """
    out: dict[str, list[Record]] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            told = json.loads(line)
            record = Record(told['index'], told['object'], told['metrics'], told['reason'],
                            told['visibility'], told['category'])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path}, line {number}: not a record of "kinediff3d evaluate '
                             '--records"') from error
        out.setdefault(record.category, []).append(record)
    return out


def summary_of(records: Sequence[Record]) -> Summary:
    """Mean, median, standard deviation and count of every metric.

    ``visibility``, ``failure_rate`` and the metrics of :data:`BY_VISIBILITY` come again for each
    third of the views by visibility, as ``<metric>_<worst|middle|best>_third``.
    """
    out = summarise([r.metrics for r in records])
    seen = np.array([r.visibility for r in records])
    if np.isfinite(seen).any():
        out['visibility'] = statistics(seen[np.isfinite(seen)])
    for third, index in thirds(seen).items():
        part = {'visibility': statistics(seen[index]),
                **summarise([records[i].metrics for i in index])}
        out.update({f'{name}_{third}_third': part[name]
                    for name in ('visibility', *BY_VISIBILITY, 'failure_rate') if name in part})
    return out
