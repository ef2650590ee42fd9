"""What a mask shows of other surfaces: masks that are grown, have hands in them, or are boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from kinediff3d_core.geometry.camera import (
    Intrinsics,
    pixel_points,
    require_size,
    valid_depth,
)
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import (
    DepthView,
    ObjectCloud,
    filter_cloud,
    object_cloud,
)
from kinediff3d_core.observation.planes import MAD_TO_STD, PointPlaneConfig, plane_distances
from kinediff3d_core.observation.segmentation import segment_instances


@dataclass(frozen=True)
class MaskOutlierConfig:
    """Which surfaces in a mask are not the object's: those that go on outside of it."""

    ring: float = 0.25
    """Width of what is looked at around the mask, share of its longer side. Chosen."""
    least_ring: int = 12
    """As ``ring``, least width in pixels. Chosen."""
    rim: float = 0.02
    """Width of what counts neither as mask nor as ring, share of the mask's longer side. Masks
    that are drawn a little small leave the object's own border there. Chosen."""
    least_rim: int = 3
    """As ``rim``, least width in pixels. Chosen."""
    planes: int = 2
    """Planes outside the mask: a table and a wall; 0 turns it off. Chosen."""
    plane_share: float = 0.2
    """Least share of the ring on a plane. Chosen."""
    deviations: float = 3.0
    """Distance from a plane up to which points are on it, in standard deviations of the ring's
    points on it. Chosen."""
    thickness: tuple[float, float] = (0.4, 1.0)
    """Least and greatest such distance, shares of the noise bound. Chosen."""
    max_share: float = 0.4
    """Largest share of the mask that planes may take: of built-in furniture only a front is seen,
    which is in one plane with its neighbours. Chosen."""
    box_max_share: float = 0.7
    """As ``max_share``, of a mask that is a bounding box: around two boxes on a desk 28 to 54 % of
    it are the desk (``evaluation.box_sequence``), around a built-in front nearly all of it is in
    one plane with its neighbours."""
    box_fill: float = 0.98
    """A mask is a bounding box if it fills this share of the rectangle around it. Chosen."""
    gap_share: float = 0.5
    """Most pixels of the mask that are off a plane by up to twice the distance of those on it, as
    a share of these. Flat objects (scissors, a stapler on its side) have more: there is no gap
    between them and the table, and the mask stays. Chosen."""
    border_share: float = 0.5
    """Least share of the mask's border that is on planes. Of a mask that is too large nearly all
    of it is, of a clean one where the object touches the plane. Chosen."""
    least_share: float = 0.02
    """A mask of which less would be removed stays as it is. Chosen: clean masks of the frames of
    docs/method.md would lose up to 1 %."""
    speck_height: float = 2.0
    """What is lower than this above a plane that is removed is low, noise bounds. Chosen."""
    speck_share: float = 0.8
    """Islands of the mask of which more than this share is low are removed, too. Chosen."""
    speck_size: float = 0.05
    """Greatest size of such islands, share of the largest one: others may be low objects. Chosen;
    around the boxes of ``evaluation.box_sequence`` they have up to 2 %."""
    jump: float = 4.0
    """Difference of neighbouring depths that separates surfaces, in noise bounds. Chosen."""
    least_pixels: int = 20
    """Smallest surface that is removed, pixels inside the mask. Chosen."""
    beyond: float = 0.5
    """Least part of another instance of segmentation that is outside of the mask, as a share of
    its pixels in it. Chosen: half of a hand with its forearm is in the box of a laptop, a share of
    0.8 (``evaluation.mask_changes``); inf turns it off."""
    plane: PointPlaneConfig = PointPlaneConfig(samples=800, trials=100)
    """How planes are found."""


CONFIG = MaskOutlierConfig()


def without_other_surfaces(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray,
                           config: MaskOutlierConfig = CONFIG,
                           boxed: bool | None = None) -> np.ndarray:
    """The mask (H, W) bool without surfaces that go on outside of it.

    First planes that are found around the mask are removed from it, then surfaces that are
    separated from the object by a jump of depth and lie outside for the most part, and last what
    segmentation tells apart from the object and finds outside, too: a hand that touches it.

    Args:
        depth: (H, W) z-depth, m.
        mask: (H, W) bool.
        boxed: it is a bounding box, which may be turned or partly covered; None: if it is a
            rectangle (:func:`is_box`).

    Raises:
        ValueError: sizes differ; the message names both.
    """
    require_size(depth, intrinsics, mask)
    valid = valid_depth(depth, intrinsics)
    inside = mask & valid
    if not inside.any():
        return mask
    window = _window(mask, config)
    image, depth, inside, valid = depth, depth[window], inside[window], valid[window]
    ring = valid & ~_with_rim(mask[window], config)
    if boxed is None:
        boxed = is_box(mask, config)
    max_share = config.box_max_share if boxed else config.max_share
    planes, removed = _on_planes(_points(depth, intrinsics, window), inside, ring,
                                 max_share * inside.sum(), config)
    kept = inside & ~removed
    surfaces = _Surfaces(depth, kept, valid & ~inside & ~planes, config)
    kept &= ~surfaces.separate()
    found = np.zeros_like(mask)
    found[window] = kept
    if surfaces.one_goes_on():
        found &= ~_on_other_instances(image, intrinsics, found, mask, config)
    if found.sum() > (1 - config.least_share) * inside.sum():
        return mask
    return found


def object_in_mask(view: DepthView, mask: np.ndarray, boxed: bool | None = None) -> ObjectCloud:
    """The filtered cloud of the object in a mask (H, W), without other surfaces in it.

    Args:
        boxed: as in :func:`without_other_surfaces`.

    Raises:
        ValueError: sizes differ; the message names both.
    """
    own = without_other_surfaces(view.depth, view.intrinsics, np.asarray(mask).astype(bool),
                                 boxed=boxed)
    return filter_cloud(object_cloud(view.depth, view.intrinsics, own))


def is_box(mask: np.ndarray, config: MaskOutlierConfig = CONFIG) -> bool:
    """Whether a mask (H, W) bool is a rectangle, as a detector gives it; not if it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return False
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    return bool(mask.sum() >= config.box_fill * area)


def _window(mask: np.ndarray, config: MaskOutlierConfig) -> tuple[slice, slice]:
    """Rows and columns of the mask and of the ring around it."""
    limits = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
    side = max(int(last - first) for first, last in limits)
    width = max(config.least_ring, int(config.ring * side))
    rows, columns = (slice(max(0, first - width), last + width + 1) for first, last in limits)
    return rows, columns


def _with_rim(mask: np.ndarray, config: MaskOutlierConfig) -> np.ndarray:
    """A mask (h, w) grown by its rim."""
    side = max(int(np.ptp(np.flatnonzero(mask.any(axis)))) for axis in (0, 1))
    width = max(config.least_rim, round(config.rim * side))
    return np.asarray(scipy.ndimage.maximum_filter(mask, 2 * width + 1))


def _points(depth: np.ndarray, intrinsics: Intrinsics, window: tuple[slice, slice]) -> np.ndarray:
    """Points (h, w, 3) of a window's depths (h, w), m."""
    v, u = (np.arange(w.start, w.start + n) for w, n in zip(window, depth.shape, strict=True))
    z = np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0)
    return pixel_points(v[:, None], u, z, intrinsics)


def _on_planes(points: np.ndarray, inside: np.ndarray, ring: np.ndarray, most: float,
               config: MaskOutlierConfig) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (h, w) on planes that reach into the mask, and those of them that are not its own.

    Args:
        inside: (h, w) measured pixels of the mask. ring: (h, w) those around it.
        most: pixels of the mask that may be on planes.
    """
    planes, removed, low = (np.zeros_like(inside) for _ in range(3))
    valid = points[..., 2] > 0
    voters, least = ring.copy(), config.plane_share * ring.sum()
    bound = config.plane.noise_bound(points[..., 2])
    rng = np.random.default_rng(0)
    for _ in range(config.planes):
        distance = plane_distances(points.reshape(-1, 3), points[voters], rng, config.plane)
        if distance is None:
            break
        height = distance.reshape(inside.shape)
        sigma = MAD_TO_STD * np.median(height[ring & (height < bound)])
        thickness = np.clip(config.deviations * sigma, *np.multiply.outer(
            config.thickness, bound))
        on = valid & (height < thickness)
        if (on & ring).sum() < least:
            break
        label, count = scipy.ndimage.label(on)
        reaching = np.bincount(label[on & ring], minlength=count + 1) > 0
        planes |= on
        found = inside & on & reaching[label]
        near = inside & ~on & (height < 2 * thickness)
        if (removed | found).sum() <= most and (
                near.sum() <= config.gap_share * found.sum()):
            removed |= found
            low |= inside & (height < config.speck_height * bound)
        voters &= height > bound
    border = inside & ~scipy.ndimage.minimum_filter(inside | (points[..., 2] <= 0), 3)
    if (removed & border).sum() < config.border_share * border.sum():
        removed[:] = False
    return planes, removed | _specks(inside & ~removed, low & removed.any(), config)


def _specks(kept: np.ndarray, low: np.ndarray, config: MaskOutlierConfig) -> np.ndarray:
    """Pixels (h, w) of small islands of ``kept`` that are low.

    Noise of the depth raises spots of a table above the thickness of its plane.
    """
    label, count = scipy.ndimage.label(kept)
    size = np.bincount(label.ravel(), minlength=count + 1)
    lower = np.bincount(label[kept & low], minlength=count + 1)
    size[0] = 0
    speck = (lower > config.speck_share * size) & (size <= config.speck_size * size.max())
    speck[0] = False
    return np.asarray(speck[label])


class _Surfaces:
    """Surfaces in a mask and around it, which jumps of depth separate.

    Args:
        kept: (h, w) pixels of the mask. outside: (h, w) measured pixels around it.
    """

    def __init__(self, depth: np.ndarray, kept: np.ndarray, outside: np.ndarray,
                 config: MaskOutlierConfig) -> None:
        present = kept | outside
        z = np.where(present, depth, 0.0)
        jump = config.jump * config.plane.noise_bound(z)
        edge = np.zeros_like(present)
        edge[:, 1:] |= np.abs(np.diff(z, axis=1)) > jump[:, 1:]
        edge[1:] |= np.abs(np.diff(z, axis=0)) > jump[1:]
        self._label, count = scipy.ndimage.label(present & ~edge)
        here = np.bincount(self._label[kept], minlength=count + 1)
        beside = np.bincount(self._label[outside], minlength=count + 1)
        here[0] = 0
        self._separate = (beside > here) & (here >= config.least_pixels)
        self._separate[[0, int(here.argmax())]] = False
        self._goes_on = (~self._separate & (here >= config.least_pixels)
                         & (beside >= config.beyond * config.least_pixels))

    def separate(self) -> np.ndarray:
        """Pixels (h, w) of surfaces, other than the mask's largest, mostly outside of it."""
        return np.asarray(self._separate[self._label])

    def one_goes_on(self) -> bool:
        """Whether one of the others goes on outside: only then another instance may be in it."""
        return bool(self._goes_on.any())


def _on_other_instances(depth: np.ndarray, intrinsics: Intrinsics, kept: np.ndarray,
                        mask: np.ndarray, config: MaskOutlierConfig) -> np.ndarray:
    """Pixels (H, W) of instances, other than the mask's largest, that go on outside of it.

    Args:
        kept: (H, W) bool, the pixels of the mask that are left.
    """
    try:
        ids = segment_instances(depth, intrinsics).ids
    except NoEstimate:
        return np.zeros_like(mask)
    count = int(ids.max()) + 1
    here, beyond = (np.bincount(ids[pixels], minlength=count) for pixels in (kept, ~mask))
    foreign = (here >= config.least_pixels) & (beyond >= config.beyond * here)
    foreign[[0, 1 + int(here[1:].argmax())]] = False
    return np.asarray(foreign[ids])
