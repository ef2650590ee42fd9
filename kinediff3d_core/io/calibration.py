"""What a calibration says of a depth image: camera, lens distortion and unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.distortion import UNDISTORTED, Array, Distortion, rectify

UNITS = {(1e-5, 1e-2): 1.0, (1e-2, 20.0): 1e-3, (100.0, 1e6): 0.0}
"""Metres by the size of a declared ``depth_scale``: metres a step (librealsense), millimetres a
step (BOP), steps a metre (Open3D, TUM; 0 stands for the reciprocal). The ranges are those of
depth cameras: steps of 0.01 mm to 20 mm. Chosen."""
FOCAL_RANGE = 0.05, 100.0
"""Focal lengths of a camera, widths of its image: a fisheye lens to a telescope. Chosen."""
LAST_ROW_TOLERANCE = 1e-3
"""Deviation of the last row of a camera matrix from 0, 0, 1. Chosen: rounding in text files."""


@dataclass(frozen=True)
class CameraMatrices:
    """A calibration in the terms of ``sensor_msgs/CameraInfo``.

    Attributes:
        k: 9 numbers, row by row. p: 12 numbers, row by row, or None.
        size: (width, height) of the full image, pixels.
        binning: pixels in x and y that are read as one; 0 counts as 1.
        roi: x and y offset, width and height, in pixels of the full image; an empty region is the
            full image.
        model, d: distortion model and its coefficients.
    """

    k: Sequence[float]
    p: Sequence[float] | None
    size: tuple[int, int]
    binning: tuple[int, int] = (1, 1)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    model: str = ''
    d: Sequence[float] = ()


@dataclass(frozen=True)
class Calibration:
    """Camera of a depth image.

    Attributes:
        intrinsics: of the rectified image.
        distortion: of the raw image; None where the image is rectified.
        depth_scale: metres a step of a depth image of integers; None where nothing declares it.
        projected: whether P counted although the distortion is not zero, which holds for
            rectified images alone.
    """

    intrinsics: Intrinsics
    distortion: Distortion | None = None
    depth_scale: float | None = None
    projected: bool = False

    def rectify(self, image: Array) -> Array:
        """A depth image or mask (H, W) without distortion, by nearest neighbours."""
        return rectify(image, self.intrinsics, self.distortion)


def calibration_from_matrices(camera: CameraMatrices, raw: bool = False) -> Calibration:
    """Camera by the rules of ``sensor_msgs/CameraInfo``.

    P (of the rectified image) counts where its focal lengths are set, else K with the distortion.
    The region of interest is cut out first, then binned.

    Args:
        raw: the image is not rectified: K and the distortion count.

    Raises:
        ValueError: focal lengths in neither matrix (an uncalibrated camera), numbers that are no
            camera's, or a distortion that is not applied.
    """
    k, p = rows_of_k(camera.k), camera.p
    bent = bool(np.any(np.asarray(camera.d, dtype=np.float64) != 0))
    bent = bent and camera.model.lower() not in UNDISTORTED
    projected = not raw and p is not None and p[0] > 0 and p[5] > 0
    fx, fy, cx, cy = (p[0], p[5], p[2], p[6]) if projected and p is not None else \
        (k[0], k[4], k[2], k[5])
    if not (fx > 0 and fy > 0):
        raise ValueError('camera_info carries no calibration: the focal lengths in K and P are '
                         f'{k[0]:g} and {0 if p is None else p[0]:g}')
    width, height = camera.size
    low, high = (bound * max(width, 1) for bound in FOCAL_RANGE)
    if width > 0 and not low <= fx <= high:
        raise ValueError(f'the focal length {fx:g} is none of an image {width} pixels wide; it '
                         'must be in pixels, not in mm or in image widths')
    x, y, roi_width, roi_height = camera.roi
    if roi_width and roi_height:
        cx, cy, width, height = cx - x, cy - y, roi_width, roi_height
    bin_x, bin_y = (max(n, 1) for n in camera.binning)
    intrinsics = Intrinsics(float(fx / bin_x), float(fy / bin_y), float(cx / bin_x),
                            float(cy / bin_y), int(width // bin_x), int(height // bin_y))
    distortion = None
    if bent and not projected:
        distortion = Distortion(camera.model.lower(), tuple(float(x) for x in camera.d))
    return Calibration(intrinsics, distortion, projected=projected and bent)


def rows_of_k(k: Sequence[float]) -> Sequence[float]:
    """The camera matrix (9,) row by row, also of one that is written by columns.

    Raises:
        ValueError: its last row, or column, is not 0, 0, 1.
    """
    if not any(k[5:]):
        return k  # not calibrated; P may be
    if np.allclose((k[6], k[7], k[8]), (0, 0, 1), rtol=0, atol=LAST_ROW_TOLERANCE):
        return k
    if np.allclose((k[2], k[5], k[8]), (0, 0, 1), rtol=0, atol=LAST_ROW_TOLERANCE):
        return [k[i] for i in (0, 3, 6, 1, 4, 7, 2, 5, 8)]
    raise ValueError(f'the camera matrix ends in {k[6]:g}, {k[7]:g}, {k[8]:g}; a camera matrix '
                     'ends in 0, 0, 1')


def metres_a_step(scale: float) -> float:
    """Metres of one step of depth, of a ``depth_scale`` in any of its units (:data:`UNITS`).

    Raises:
        ValueError: a scale of no depth camera.
    """
    for (low, high), metres in UNITS.items():
        if low <= scale < high:
            return scale * metres if metres else 1 / scale
    raise ValueError(f'depth_scale {scale:g} is none of metres a step (0.001), millimetres a step '
                     '(1) and steps a metre (1000); give --depth-scale')
