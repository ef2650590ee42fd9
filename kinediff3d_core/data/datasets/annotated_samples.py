"""Training samples of an object that a data set gives with its own annotated views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.mesh_samples import shape_samples, view_tensors
from kinediff3d_core.data.sample_files import POINTS
from kinediff3d_core.data.samples import MIN_CLOUD
from kinediff3d_core.geometry.camera import backproject


def annotated_samples(obj: MeshObject, names: Sequence[str], read: Callable[[str], DatasetView],
                      views: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Tensors of :mod:`kinediff3d_core.data.sample_files`: shapes, and the data set's own views.

    Views are drawn without replacement; where there are too few good ones, they are repeated.
    Broken ones and those with too few points are left out.

    Args:
        obj: in its canonical frame, m.
        names: of the views of the object.
        read: gives the view of a name.
        views: number of views.
        generator: on the CPU.

    Raises:
        ValueError: as :func:`kinediff3d_core.data.mesh_samples.shape_samples`; no good view, with
            the fault of the last one.
    """
    good: list[tuple[Tensor, Tensor, Tensor]] = []
    fault = 'it has no view'
    for i in torch.randperm(len(names), generator=generator).tolist():
        try:
            good.append(_read_tensors(read(names[i]), generator))
        except ValueError as error:
            fault = str(error)
        if len(good) == views:
            break
    if not good:
        raise ValueError(f'{obj.name}: no view of it can be used; {fault}')
    return shape_samples(obj, generator) | view_tensors(good, views, obj)


def _read_tensors(view: DatasetView, generator: torch.Generator,
                  ) -> tuple[Tensor, Tensor, Tensor]:
    """Cloud (POINTS, 3), T_camera_base (4, 4) and positions (J,) of a view."""
    cloud = torch.from_numpy(backproject(view.depth, view.intrinsics, view.mask)).float()
    if len(cloud) < MIN_CLOUD:
        raise ValueError(f'{view.name} shows {len(cloud)} points, fewer than {MIN_CLOUD}')
    order = torch.randperm(len(cloud), generator=generator)
    return (cloud[order[torch.arange(POINTS) % len(cloud)]],
            torch.from_numpy(view.truth.T_camera_part[0]).float(),
            torch.from_numpy(view.truth.positions).float())
