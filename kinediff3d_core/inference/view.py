"""Preparation of one view: from the caller's input to the input of networks and residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.observation.cloud import (
    DepthView,
    ObjectCloud,
    filter_cloud,
    require_points,
)
from kinediff3d_core.observation.free_space import Observation, observe
from kinediff3d_core.observation.mask_outliers import object_in_mask
from kinediff3d_core.observation.segmentation import object_in_image


@dataclass(frozen=True)
class PreparedView:
    """One view as inference uses it, canonical units, camera frame.

    Attributes:
        network_clouds: (C, N, 3) random choices of points, the input of the networks.
        observation: the data of the residuals.
        points: (P, 3) points that the estimate stores.
    """

    network_clouds: Tensor
    observation: Observation
    points: Tensor


def prepare_view(cloud: ObjectCloud, scale: float, preset: Preset, generator: torch.Generator,
                 ) -> PreparedView:
    """The prepared view of a cloud in metres, on the generator's device.

    Args:
        scale: metres of a canonical unit.
    """
    canonical, others = (x / scale for x in (cloud.points, cloud.others))
    points, sampling = torch.from_numpy(canonical).to(generator.device), preset.sampling
    clouds = torch.stack([_random_points(points, sampling.network_points, generator)
                          for _ in range(preset.clouds)])
    points = _random_points(points, sampling.estimate_points, generator)
    return PreparedView(clouds, observe(canonical, preset.points, generator, others), points)


def cloud_of(points: np.ndarray | ObjectCloud | None, depth: np.ndarray | None,
             intrinsics: Intrinsics | None, mask: np.ndarray | None) -> ObjectCloud:
    """The object's cloud from the input of :meth:`Pipeline.infer`; errors are the same."""
    if (points is None) == (depth is None):
        raise ValueError('give either points or depth with intrinsics')
    if depth is not None:
        if intrinsics is None:
            raise ValueError('depth needs intrinsics (fx, fy, cx, cy, width, height)')
        view = DepthView(depth, intrinsics)
        points = object_in_image(view) if mask is None else object_in_mask(view, mask)
    cloud = filter_cloud(cast(np.ndarray | ObjectCloud, points))
    require_points(cloud.points)
    return cloud


def _random_points(cloud: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Random n points of a cloud; repeated where there are fewer."""
    if len(cloud) >= n:
        pick = torch.randperm(len(cloud), generator=generator, device=cloud.device)[:n]
    else:
        pick = torch.randint(len(cloud), (n,), generator=generator, device=cloud.device)
    return cloud[pick]
