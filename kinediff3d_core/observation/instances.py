"""Instances: the things that stand out of the supports of a depth image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from kinediff3d_core.observation.depth_grid import DepthGrid, GridConfig, linked_pixels
from kinediff3d_core.observation.supports import Footprint, Surface, find_surfaces, supports

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class InstanceConfig:
    """Which things are instances. All values are chosen."""

    least: int = 50
    """Smallest instance, pixels of the grid."""
    bridge: float = 0.01
    """Half the gap between two surfaces, m, up to which they are one."""
    core: float = 2.0
    """Things that meet only below this height above their support, in its thicknesses, are
    several."""
    max_size: float = 1.8
    """Greatest extent of an instance, m."""
    beside: float = 0.05
    """What is under a support and no farther than this beside it, m, is its body: edges, legs."""
    centre_reach: float = 0.35
    """Width of the Gaussian weight of instances by their distance from the image's centre, in
    shares of the image's size."""


@dataclass(frozen=True)
class _Links:
    """Which pixels of a grid are on one surface, or nearly touch.

    Attributes:
        node: (h, w) index of the pixel that stands for a pixel, -1 for none: members stand for
            themselves and for what is near to them.
        pairs: (2, L) indices of pixels that are linked.
    """

    node: Array
    pairs: Array


def _links(grid: DepthGrid, member: Array, bridge: float) -> _Links:
    """Links of the pixels in ``member`` (h, w); gaps of twice ``bridge``, m, are bridged."""
    h, w = grid.shape
    distance, source = ndimage.distance_transform_edt(~member, return_indices=True)
    z = grid.points[..., 2][tuple(source)]
    near = distance * (grid.rays[0, 1, 0] - grid.rays[0, 0, 0]) * z <= bridge
    node = np.where(near, source[0] * w + source[1], -1)
    right, down = linked_pixels(z, grid.sigma[tuple(source)], near, GridConfig())
    pairs = np.stack([np.concatenate([node[:, :-1][right], node[:-1][down]]),
                      np.concatenate([node[:, 1:][right], node[1:][down]])])
    return _Links(node, pairs[:, pairs[0] != pairs[1]])


def _components(member: Array, pairs: Array, least: int) -> tuple[Array, int]:
    """Labels (h, w) of the linked pixels of ``member``: 0 outside and for small components."""
    flat = member.ravel()
    index = np.cumsum(flat) - 1
    pairs = index[pairs[:, flat[pairs].all(0)]]
    count = int(flat.sum())
    graph = coo_matrix((np.ones(pairs.shape[1], dtype=bool), tuple(pairs)), shape=(count, count))
    number, label = connected_components(graph, directed=False)
    keep = np.bincount(label, minlength=number) >= least
    new = np.where(keep, np.cumsum(keep), 0)
    image = np.zeros(member.size, dtype=np.int64)
    image[flat] = new[label]
    return image.reshape(member.shape), int(keep.sum())


def _split_at_height(label: Array, links: _Links, high: Array, least: int) -> tuple[Array, int]:
    """Labels after things are told apart that only meet near their support.

    Args:
        label: (h, w), 0 for none. high: (h, w) bool, clearly above the support.
    """
    core, number = _components(high & (label > 0), links.pairs, least)
    if not number:
        return label, int(label.max())
    owner = np.zeros(number + 1, dtype=np.int64)
    owner[core.ravel()] = label.ravel()
    owner[0] = 0
    divided = np.bincount(owner)[1:] if number else owner
    divided = np.flatnonzero(divided > 1) + 1
    if not len(divided):
        return label, int(label.max())
    nearest = ndimage.distance_transform_edt(core == 0, return_distances=False,
                                             return_indices=True)
    near = core[tuple(nearest)]
    out = np.where(np.isin(label, divided), np.where(owner[near] == label, near, 0)
                   + label.max() * (owner[near] == label), label)
    _, out = np.unique(out, return_inverse=True)
    return out.reshape(label.shape), int(out.max())


def find_instances(grid: DepthGrid, config: InstanceConfig = InstanceConfig(),
                   ) -> list[tuple[Array, float]]:
    surfaces = find_surfaces(grid)
    chosen = supports(grid, surfaces)
    member = grid.valid.copy()
    for s in chosen:
        member &= ~s.region
    links = _links(grid, member, config.bridge)
    label, number = _components(member, links.pairs, config.least)
    if chosen:
        height = np.min([np.where(s.above, s.height / s.thickness, np.inf) for s in chosen], axis=0)
        label, number = _split_at_height(label, links, height > config.core, config.least)
    footprints = [Footprint.of(grid.points[s.region], s.plane.normal) for s in chosen]
    found = []
    h, w = grid.shape
    boxes = ndimage.find_objects(label)
    for k in range(1, number + 1):
        box = boxes[k - 1]
        if box is None:
            continue
        mask = label[box] == k
        points = grid.points[box][mask]
        if len(points) < config.least:
            continue
        low, high = np.percentile(points, (2, 98), axis=0)
        if (high - low).max() > config.max_size or not _stands(mask, box, points, chosen,
                                                               footprints, config):
            continue
        v, u = np.nonzero(mask)
        v, u = v + box[0].start, u + box[1].start
        distance = np.hypot(u.mean() / w - 0.5, v.mean() / h - 0.5)
        border = ((u < 2) | (v < 2) | (u >= w - 2) | (v >= h - 2)).sum() / len(u) ** 0.5
        score = len(u) * np.exp(-(distance / config.centre_reach) ** 2) * np.exp(-border)
        full = np.zeros(grid.shape, bool)
        full[box] = mask
        found.append((full, float(score)))
    found.sort(key=lambda x: -x[1])
    return found


def _stands(mask: Array, box: Any, points: Array, chosen: list[Surface],
            footprints: list[Footprint | None], config: InstanceConfig) -> bool:
    """Whether a thing is in front of a support, and not the body of one."""
    if not chosen:
        return True
    on_one = False
    for surface, footprint in zip(chosen, footprints, strict=True):
        if surface.above[box][mask].mean() > 0.5:
            on_one = True
        elif footprint is not None and -surface.plane.normal[1] > 0.2:
            inside = footprint.contains(points[::4] @ footprint.axes, config.beside)
            if inside.mean() > 0.8:
                return False
    return on_one
