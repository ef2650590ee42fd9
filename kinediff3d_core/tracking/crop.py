"""The object's points in a depth image without a mask: those near its predicted surface.

Each point is assigned to the nearest of three: the predicted surface, a plane that the object
stands on or at, or anything else. Points that are not on the object stay beside it in the cloud.
Where they are nearer than the predicted surface they hide it (a hand, an arm): the surface behind
them is neither fitted nor counted as free space. Where they are farther the space is free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import to_part_frames, transform_points
from kinediff3d_core.inference import residuals
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.cloud import BESIDE_STRIDE, DepthView, ObjectCloud
from kinediff3d_core.observation.planes import plane_distances
from kinediff3d_core.tracking.config import CropConfig
from kinediff3d_core.tracking.sdf_grid import SdfGrid


@dataclass(frozen=True)
class _Window:
    """Rows and columns of an image that the object may cover, and their stride."""

    rows: slice
    columns: slice
    stride: int


@dataclass(frozen=True)
class Crop:
    """The object's points in an image: of every ``stride``-th row and column."""

    cloud: ObjectCloud
    stride: int


@dataclass(frozen=True)
class SurfaceEvidence:
    """What an image without a mask shows of a predicted surface.

    Attributes:
        seen_through: share of the surface behind which something is measured, of the surface
            with a measurement.
        missing: share of the surface behind which something or nothing is measured: there may be
            no surface.
        area: of the object's points, seen from the camera, m².
    """

    seen_through: float = 0.0
    missing: float = 0.0
    area: float = 0.0


NO_EVIDENCE = SurfaceEvidence()
"""Of an object whose points a mask gives."""


class SurfaceCrop:
    """Finds the points on one object, whose shape is held, in depth images.

    Args:
        grid, field: signed distances of the object's parts.
        surface, normals: (1, K, S, 3) surface samples and outward normals in part frames,
            canonical units; the first half are on faces (:func:`residuals.surface_samples`).
        config: margins.
    """

    def __init__(self, grid: SdfGrid, field: Field, surface: Tensor, normals: Tensor,
                 config: CropConfig) -> None:
        self._grid, self._field, self._config = grid, field, config
        self._surface, self._normals = surface[:, grid.exists], normals[:, grid.exists]
        self._scale = grid.category.scale

    def motion_margin(self, gap: float) -> float:
        """Distance, canonical units, that a surface may be from its prediction after a gap (s)."""
        c = self._config
        return min(c.shape_margin + c.speed * gap, c.max_margin)

    def crop(self, view: DepthView, states: State, margin: float) -> Crop:
        """The object's points and those beside it.

        Args:
            states: (H) predicted poses and joints, canonical units; a point is near the object
                if it is near one of them.
            margin: distance from the predicted surface within which points may be on the object,
                canonical units; the noise of the depth is added.
        """
        c, reach = self._config, self._scale * margin
        poses, surface = self._posed(states)
        pixels = max(c.least_pixels, c.max_pixels // max(1, len(states.q) // 2))
        window = self._window(view, surface, reach, pixels)
        points = view.points(window.rows, window.columns, window.stride)
        if not len(points):
            return Crop(ObjectCloud(points, points, filtered=True), window.stride)
        distance = self._distance(points, surface, poses, reach)
        on = distance < reach + self._noise(points)
        on &= ~self._on_plane(points, distance, on)
        beside = points[~on]
        stride = max(1, BESIDE_STRIDE // window.stride) ** 2
        return Crop(ObjectCloud(points[on], beside[::stride], filtered=True), window.stride)

    def tighten(self, crop: Crop, states: State) -> Crop:
        """The points of a crop that are near the fitted surfaces; the others are put beside it.

        No points are added: a fit that has left the prediction must not look for others there.

        Args:
            states: (H) fitted poses and joints, canonical units.
        """
        points, reach = crop.cloud.points, self._scale * self._config.shape_margin
        poses, surface = self._posed(states)
        on = self._distance(points, surface, poses, reach) < reach + self._noise(points)
        others = np.concatenate([crop.cloud.others, points[~on]])
        return Crop(ObjectCloud(points[on], others, filtered=True), crop.stride)

    def evidence(self, view: DepthView, state: State, crop: Crop) -> SurfaceEvidence:
        """What an image shows where the predicted surface faces the camera.

        Surface that is hidden, by a hand or by the object itself, does not count. With little
        other surface all shares are 0.

        Args:
            state: (1) pose and joints, canonical units.
            crop: the object's points in that image.
        """
        poses = residuals.part_poses(self._grid, state.to(self._surface.device))[
            :, self._grid.exists]
        faces = slice(self._surface.shape[2] // 2)
        points = transform_points(poses, self._surface[:, :, faces])
        outward = self._normals[:, :, faces] @ poses[..., :3, :3].transpose(-1, -2)
        facing = ((outward * points).sum(-1) < 0) & (points[..., 2] > 0)
        surface = (self._scale * points[facing]).cpu().numpy()
        measured = view.depth_at(surface)
        behind = measured - surface[:, 2]
        reach = self._scale * self._config.shape_margin + self._noise(surface)
        on, through = int((np.abs(behind) <= reach).sum()), int((behind > reach).sum())
        return SurfaceEvidence(self._share(through, on),
                               self._share(through + int(np.isnan(measured).sum()), on),
                               _area(crop, view.intrinsics))

    def _share(self, absent: int, present: int) -> float:
        """Share of surface samples that are absent; 0 of few samples."""
        count = absent + present
        return absent / count if count >= self._config.least_seen else 0.0

    def _posed(self, states: State) -> tuple[Tensor, np.ndarray]:
        """Part poses (H, K, 4, 4), canonical units, and all surface samples there (M, 3), m."""
        poses = residuals.part_poses(self._grid, states.to(self._surface.device))
        surface = transform_points(poses[:, self._grid.exists], self._surface)
        return poses, (self._scale * surface).reshape(-1, 3).cpu().numpy()

    def _window(self, view: DepthView, surface: np.ndarray, reach: float, wanted: int) -> _Window:
        """The rectangle around the projected surface (M, 3), m, and what is beside it."""
        camera, c = view.intrinsics, self._config
        z = np.maximum(surface[:, 2], c.least_depth)
        grown = reach * max(camera.fx, camera.fy) / float(z.min())
        u, v = (f * surface[:, k] / z + m for k, f, m in ((0, camera.fx, camera.cx),
                                                          (1, camera.fy, camera.cy)))
        grown += c.beside * max(float(np.ptp(u)), float(np.ptp(v)))
        rows, columns = (slice(int(np.clip(x.min() - grown, 0, size)),
                               int(np.clip(x.max() + grown + 1, 0, size)))
                         for x, size in ((v, camera.height), (u, camera.width)))
        pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
        return _Window(rows, columns, max(1, round((pixels / wanted) ** 0.5)))

    def _distance(self, points: np.ndarray, surface: np.ndarray, poses: Tensor, reach: float,
                  ) -> np.ndarray:
        """Distances (N,), m, of points (N, 3) from the nearest of the predicted surfaces.

        They are inf outside the box around the surfaces.
        """
        grown = reach + self._noise(points).max() + self._config.box_margin * self._scale
        low, high = surface.min(0) - grown, surface.max(0) + grown
        inside = ((points > low) & (points < high)).all(1)
        found = np.full(len(points), np.inf)
        if inside.any():
            near = torch.from_numpy(points[inside]).to(poses) / self._scale
            signed = self._grid.query(self._field, to_part_frames(near, poses)).amin(1)
            found[inside] = self._scale * signed.abs().amin(0).cpu().numpy()
        return found

    def _noise(self, points: np.ndarray) -> np.ndarray:
        """Bound (N,) of the depth noise of points (N, 3), m."""
        return self._config.plane.noise_bound(points[:, 2])

    def _on_plane(self, points: np.ndarray, distance: np.ndarray, on: np.ndarray) -> np.ndarray:
        """Which points (N,) are on a plane beside the object rather than on the object.

        A point belongs to the nearer of the two: scissors on a table stay whole, and what hides
        half of a front that is in one plane with its neighbours does not harm it.

        Args:
            distance: (N,) from the predicted surface, m. on: (N,) near that surface.
        """
        c, noise = self._config, self._noise(points)
        rejected = np.zeros(len(points), dtype=bool)
        rest, rng = ~on, np.random.default_rng(0)
        for _ in range(c.planes):
            height = plane_distances(points, points[rest], rng, c.plane)
            if height is None:
                break
            rejected |= on & (height < np.minimum(distance, noise))
            rest &= height > noise
        return rejected


def _area(crop: Crop, camera: Intrinsics) -> float:
    """Area of the points of a crop, each of which stands for a patch that faces the camera, m²."""
    squared = np.square(crop.cloud.points[:, 2], dtype=np.float64).sum()
    return float(crop.stride ** 2 * squared / (camera.fx * camera.fy))
