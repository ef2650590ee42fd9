"""The worst estimates of an evaluation, as pictures and as inputs of ``kinediff3d infer``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path

import numpy as np

from kinediff3d_core.evaluation.records import Record, units
from kinediff3d_core.evaluation.samples import Sample
from kinediff3d_core.objects.estimate import ArticulatedEstimate, transform_mesh

VIEW_FILES = ('preview.png', 'depth.png', 'mask.png', 'camera_info.yaml')
"""What :func:`write_view` writes."""


def worst_views(records: Sequence[Record], count: int) -> list[tuple[int, int]]:
    """Place (1 is the worst) and index of the views with the largest errors.

    The errors of the rotation, or of the joints where no true rotation is known.
    """
    made = [r for r in records if r.metrics is not None]
    errors: list[tuple[float, int]] = []
    for name in ('rot_err_deg', 'joint_state_err'):
        if not any(isfinite(e) for e, _ in errors):
            errors = [(r.metrics[name], r.index) for r in made if r.metrics is not None]
    return [(place, index) for place, (_, index) in enumerate(
        sorted((e for e in errors if isfinite(e[0])), reverse=True)[:count], 1)]


def described(record: Record) -> str:
    """The error of a view by which :func:`worst_views` chooses, in words."""
    metrics = record.metrics or {}
    if isfinite(metrics['rot_err_deg']):
        return f'rotation error {metrics["rot_err_deg"]:.1f}°'
    unit = units(record.category)['joint_state_err']
    return f'joint error {metrics["joint_state_err"]:.3g} {unit}'


def write_view(folder: Path, sample: Sample, estimate: ArticulatedEstimate, error: str) -> None:
    """Write a picture of an estimate beside the truth, and the inputs that ``infer`` reads.

    Args:
        error: in words, for the title.
    """
    from kinediff3d_core.visualization.preview import draw_preview

    folder.mkdir(parents=True, exist_ok=True)
    truth = sample.truth
    meshes = None if truth.surfaces is None else [
        transform_mesh(T, s.mesh)
        for T, s in zip(truth.T_camera_part, truth.surfaces, strict=True)]
    base = truth.T_camera_part[0]
    draw_preview(estimate, folder / 'preview.png', meshes, f'{sample.name}: {error}',
                 base if np.isfinite(base).all() else None)
    write_inputs(folder, sample)


def remove_view(folder: Path) -> None:
    """Delete what :func:`write_view` has written, so that nothing of an earlier run stays."""
    for name in VIEW_FILES:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # It has files of others, or does not exist.
        folder.rmdir()


def write_inputs(folder: Path, sample: Sample) -> None:
    """Write ``depth.png`` (16 bit, mm), ``mask.png`` and ``camera_info.yaml`` of a sample."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(sample.mask, dtype=np.uint8) * 255).save(folder / 'mask.png')
    millimetres = np.round(sample.depth * 1000).clip(0, 65535).astype(np.uint16)
    Image.fromarray(millimetres).save(folder / 'depth.png')
    c = sample.intrinsics
    (folder / 'camera_info.yaml').write_text(
        f'width: {c.width}\nheight: {c.height}\n'
        f'k: [{c.fx}, 0.0, {c.cx}, 0.0, {c.fy}, {c.cy}, 0.0, 0.0, 1.0]\n')
