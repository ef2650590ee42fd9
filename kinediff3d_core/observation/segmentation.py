"""Segmentation without a mask: the instances of a depth image or cloud, the best one first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics, valid_depth
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import (
    DepthView,
    ObjectCloud,
    filter_cloud,
    object_cloud,
    valid_points,
)
from kinediff3d_core.observation.depth_grid import depth_noise
from kinediff3d_core.observation.instances import InstanceConfig, Instances, find_instances

Array = np.ndarray[Any, Any]

CONFIG = InstanceConfig()

CLOUD_DENSITY = 0.7
"""Pixels of the image that a cloud is projected into, a point. Chosen: with one a point, many
pixels stay empty beside pixels with two."""
CLOUD_MARGIN = 5
"""Empty pixels around that image, more than :attr:`SupportConfig.border_width`: a lone object does
not touch the border. Chosen."""
BESIDE_STRIDE = 9
"""Every n-th point of a cloud beside the object is kept. Chosen, as for images."""


@dataclass(frozen=True)
class Candidate:
    """A thing that may be the object.

    Attributes:
        cloud: its points, and some beside it. score: as in :class:`Instances`.
    """

    cloud: ObjectCloud
    score: float = 1.0


def segment_instances(depth: Array, intrinsics: Intrinsics, config: InstanceConfig = CONFIG,
                      ) -> Instances:
    """All that stands on a support in a depth image, best first; at least one instance.

    Args:
        depth: (H, W) z-depth, m; zero or non-finite where the camera gives nothing.

    Raises:
        ValueError: the image does not have the size in ``intrinsics``.
        NoEstimate: too little depth in the image, or nothing stands out.
    """
    valid = valid_depth(depth, intrinsics)
    count = int(valid.sum())
    if count < config.min_points:
        raise NoEstimate(f'{count} pixels have depth, at least {config.min_points} are needed; '
                         'check the camera and its range')
    found = find_instances(np.where(valid, depth, 0), intrinsics, config)
    if not len(found):
        raise NoEstimate(f'nothing of at least {config.min_points} pixels and at most '
                         f'{config.max_size} m stands out of the support plane; give a mask or a '
                         'box (of furniture that is built in nothing stands out), or look at the '
                         'object from a place where it is not edge-on')
    return found


def segment_object(depth: Array, intrinsics: Intrinsics, config: InstanceConfig = CONFIG,
                   ) -> Array:
    """Mask (H, W) of the best instance; arguments and errors of :func:`segment_instances`."""
    return np.asarray(segment_instances(depth, intrinsics, config).ids == 1)


def object_in_image(view: DepthView) -> ObjectCloud:
    """The filtered cloud of the best instance of an image; errors of :func:`segment_instances`."""
    mask = segment_object(view.depth, view.intrinsics)
    return filter_cloud(object_cloud(view.depth, view.intrinsics, mask))


def image_candidates(view: DepthView) -> list[Candidate]:
    """All instances of an image, best first; errors of :func:`segment_instances`."""
    return instance_candidates(view, segment_instances(view.depth, view.intrinsics))


def instance_candidates(view: DepthView, found: Instances) -> list[Candidate]:
    """The instances of an image as candidates, in the same order."""
    return [Candidate(filter_cloud(object_cloud(view.depth, view.intrinsics, found.ids == k)),
                      float(score)) for k, score in enumerate(found.scores, start=1)]


def segment_cloud(points: Array, config: InstanceConfig = CONFIG) -> Instances:
    """The instances of points (N, 3), camera frame, m, best first; ``ids`` is (N,).

    The points are projected into an image of their own rectangle, so that clouds and images are
    segmented alike.

    Raises:
        ValueError: not (N, 3).
        NoEstimate: too few valid points, or nothing stands out.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f'a cloud is (N, 3), got {points.shape}')
    index = _valid_indices(points, config)
    p = points[index].astype(np.float32)
    depth, intrinsics, at = _projected(p)
    found = segment_instances(depth, intrinsics, config)
    jump = np.maximum(config.grid.jump[0], config.grid.jump[1] * depth_noise(p[:, 2], config.grid))
    same = np.abs(depth.ravel()[at] - p[:, 2]) < jump
    ids = np.zeros(len(points), dtype=np.int64)
    ids[index] = np.where(same, found.ids.ravel()[at], 0)
    return Instances(ids, found.scores)


def cloud_view(points: Array, config: InstanceConfig = CONFIG) -> DepthView:
    """Points (N, 3) of a whole scene, camera frame, m, as a depth image.

    Each point is moved to the middle of its pixel: by half the distance of neighbours at most.

    Raises:
        NoEstimate: too few valid points.
    """
    depth, intrinsics, _ = _projected(points[_valid_indices(points, config)].astype(np.float32))
    return DepthView(depth, intrinsics)


def _valid_indices(points: Array, config: InstanceConfig) -> Array:
    """Indices of the valid points among (N, 3); NoEstimate if there are too few."""
    index = np.flatnonzero(valid_points(points))
    if len(index) < config.min_points:
        raise NoEstimate(f'{len(index)} finite points in front of the camera, at least '
                         f'{config.min_points} are needed')
    return index


def cloud_candidates(points: Array) -> list[Candidate]:
    """All instances of a cloud (N, 3), best first, each with every ninth of the other points.

    Errors are those of :func:`segment_cloud`.
    """
    found = segment_cloud(points)
    return [Candidate(_divided(points, found.ids == k), float(score))
            for k, score in enumerate(found.scores, start=1)]


def _divided(points: Array, on: Array) -> ObjectCloud:
    """Points (N, 3) on an object, by ``on`` (N,) bool, and every ninth of the others."""
    return ObjectCloud(points[on], points[~on][::BESIDE_STRIDE])


def _projected(points: Array) -> tuple[Array, Intrinsics, Array]:
    """Depth image of valid points (N, 3), its camera, and the flat pixel (N,) of each point.

    Where several points meet in a pixel, the nearest is seen.
    """
    ray = points[:, :2] / points[:, 2:]
    low, high = ray.min(0), ray.max(0)
    size = np.maximum(high - low, 1e-6)
    focal = float(np.sqrt(CLOUD_DENSITY * len(points) / size.prod()))
    # A rectangle that is nearly a line would be an image of few rows and very many columns.
    focal = min(focal, len(points) / float(size.max()))
    width, height = (np.ceil(focal * size).astype(int) + 1 + 2 * CLOUD_MARGIN)
    centre = CLOUD_MARGIN - focal * low
    u, v = np.rint(focal * ray + centre).astype(int).T
    at = v * width + u
    depth = np.zeros(width * height, dtype=np.float32)
    far_first = np.argsort(-points[:, 2], kind='stable')
    depth[at[far_first]] = points[far_first, 2]
    return (depth.reshape(height, width),
            Intrinsics(focal, focal, float(centre[0]), float(centre[1]), int(width), int(height)),
            at)
