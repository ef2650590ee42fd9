"""Connected components of a depth grid, and how several things in one are separated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from kinediff3d_core.observation.depth_grid import DepthGrid, linked_pixels, picture_rectangle
from kinediff3d_core.observation.order_statistics import median

Array = np.ndarray[Any, Any]


def linked_pairs(grid: DepthGrid, member: Array, bridge: float, jump: float = 0.0) -> Array:
    """Pairs (2, L) of pixels in ``member`` (h, w) bool that are on one surface or nearly touch.

    Pixels that are near to a member stand for it, so that a gap in the image does not part what
    is one.

    Args:
        bridge: half the gap that is bridged, m.
        jump: depths that differ by less than this, m, are on one surface, too.

    Returns:
        Indices into the flat grid.
    """
    distance, source = ndimage.distance_transform_edt(~member, return_indices=True)
    z = grid.points[..., 2][tuple(source)]
    near = distance * grid.pixel * z <= bridge
    node = source[0] * grid.shape[1] + source[1]
    constant, deviations = grid.config.jump
    config = replace(grid.config, jump=(max(jump, constant), deviations))
    right, down = linked_pixels(z, near, config)
    pairs = np.stack([np.concatenate([node[:, :-1][right], node[:-1][down]]),
                      np.concatenate([node[:, 1:][right], node[1:][down]])])
    return np.asarray(pairs[:, pairs[0] != pairs[1]])


def components(member: Array, pairs: Array, least: int) -> Array:
    """Labels (h, w), from 1 on, of the pixels of ``member`` (h, w) bool that pairs connect.

    Args:
        pairs: (2, L) of :func:`linked_pairs`; those with other pixels do not count.
        least: smaller components have label 0, as have other pixels.
    """
    flat = member.ravel()
    first, second = pairs[:, flat[pairs[0]] & flat[pairs[1]]]
    along = second == first + 1
    begins = flat.copy()
    begins[second[along]] = False
    # Pixels that are connected along a row are one node: there are a tenth as many.
    run = np.cumsum(begins) - 1
    count = int(begins.sum())
    between = run[first[~along]], run[second[~along]]
    graph = coo_matrix((np.ones(len(between[0]), dtype=bool), between), shape=(count, count))
    number, of_run = connected_components(graph, directed=False)
    label = of_run[run[flat]] if count else run[flat]
    keep = np.bincount(label, minlength=number) >= least
    image = np.zeros(member.size, dtype=np.int64)
    image[flat] = np.where(keep, np.cumsum(keep), 0)[label]
    return image.reshape(member.shape)


def split_at_height(label: Array, pairs: Array, high: Array, least: int) -> Array:
    """Labels (h, w) after what only meets near its support is separated.

    A component with several parts that are high is divided among them: each of its pixels goes
    to the nearest. Labels are not consecutive then.

    Args:
        label: (h, w), 0 for none. high: (h, w) bool, clearly above the support.
        least: pixels of a part.
    """
    core = components(high & (label > 0), pairs, least)
    owner = np.zeros(int(core.max()) + 1, dtype=np.int64)
    owner[core.ravel()] = label.ravel()
    owner[0] = 0
    several = np.flatnonzero(np.bincount(owner[1:], minlength=1) > 1)
    several = several[several > 0]
    if not len(several):
        return label
    cores = np.where(np.isin(label, several), core, 0)
    nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False,
                                             return_indices=True)
    near = cores[tuple(nearest)]
    divided = np.isin(label, several) & (owner[near] == label)
    return np.asarray(np.where(divided, int(label.max()) + near, label))


@dataclass(frozen=True)
class ArmConfig:
    """What is an arm. All values are chosen."""

    radius: float = 0.045
    """Half the greatest width of an arm, m."""
    frame: int = 3
    """An arm begins within this many pixels with depth from the first or last of a row or column,
    pixels of the grid."""
    least: int = 300
    """Pixels of an arm, of the grid."""
    from_least: int = 800
    """Pixels of a component that may have an arm, of the grid."""
    closing: int = 2
    """Gaps of twice this width do not count, pixels of the grid."""


def split_arms(label: Array, grid: DepthGrid, config: ArmConfig = ArmConfig()) -> Array:
    """Labels (h, w) after arms and hands are separated from what they touch.

    An arm is a narrow part of a component that reaches into the picture from where its depth
    begins; the rest of the component is wide (morphological opening).
    """
    label = label.copy()
    number = int(label.max())
    frame = _outermost(grid.valid, config.frame)
    picture = picture_rectangle(grid.valid)
    size = np.bincount(label.ravel())
    boxes = ndimage.find_objects(label)
    for k in np.unique(label[frame & (label > 0)]):
        if size[k] < config.from_least:
            continue
        box = _within(boxes[k - 1], picture)
        view = label[box]
        mask = view == k
        if not mask.any():  # in a margin of registered depth, outside the picture
            continue
        z = median(grid.points[..., 2][box][mask])
        narrow, _ = ndimage.label(mask & ~_opened(mask, config.radius / (grid.pixel * z), config))
        for i in np.unique(narrow[frame[box] & (narrow > 0)]):
            arm = narrow == i
            if config.least <= arm.sum() < size[k]:
                number += 1
                view[arm] = number
    return label


def _within(box: tuple[slice, slice], picture: tuple[slice, slice]) -> tuple[slice, slice]:
    """A box with one more row and column on each side where the picture has them."""
    rows, columns = (slice(max(b.start - 1, p.start), min(b.stop + 1, p.stop))
                     for b, p in zip(box, picture, strict=True))
    return rows, columns


def _outermost(valid: Array, width: int) -> Array:
    """The first and last ``width`` pixels with depth (h, w) bool of each row and column."""
    out = np.zeros_like(valid)
    for axis in (0, 1):
        count = np.cumsum(valid, axis)
        total = np.take(count, [-1], axis)
        out |= valid & ((count <= width) | (count > total - width))
    return out


def _opened(mask: Array, radius: float, config: ArmConfig) -> Array:
    """Opening of a mask (h, w) bool with a disc, pixels; its gaps are closed before.

    What runs out of the picture is as wide beyond it as at its border.
    """
    margin = int(radius) + 2
    whole = np.pad(mask, margin, mode='edge')
    whole |= ndimage.binary_closing(whole, iterations=config.closing)
    core = ndimage.distance_transform_edt(whole) > radius
    if not core.any():
        return np.zeros_like(mask)
    grown = ndimage.distance_transform_edt(~core) < radius + config.closing
    return np.asarray(grown[margin:-margin, margin:-margin])
