"""The worst estimates of an evaluation, as pictures and as inputs of ``kinediff3d infer``."""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np

from kinediff3d_core.evaluation.samples import Sample
from kinediff3d_core.objects.estimate import ArticulatedEstimate, transform_mesh


class WorstViews:
    """The views with the largest errors so far, at most ``count``."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.heap: list[tuple[float, int, Sample, ArticulatedEstimate]] = []

    def add(self, error: float, sample: Sample, estimate: ArticulatedEstimate) -> None:
        """Keep a view if its error is among the largest."""
        entry = (error, sample.index, sample, estimate)
        if len(self.heap) < self.count:
            heapq.heappush(self.heap, entry)
        else:
            heapq.heappushpop(self.heap, entry)

    def write(self, folder: Path) -> None:
        """Write ``worst_1``, ``worst_2`` and so on, the largest error first."""
        for rank, (error, _, sample, estimate) in enumerate(sorted(self.heap, reverse=True), 1):
            write_view(folder / f'worst_{rank}', sample, estimate, error)


def write_view(folder: Path, sample: Sample, estimate: ArticulatedEstimate, error: float) -> None:
    """Write a picture of an estimate beside the truth, and the inputs that ``infer`` reads.

    Args:
        error: of the rotation, deg, for the title.
    """
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
