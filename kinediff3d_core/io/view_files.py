"""One view in files: a depth image, its calibration and a mask, read by the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.calibration import Calibration
from kinediff3d_core.io.camera_info import read_calibration
from kinediff3d_core.io.depth import read_steps, scale_steps
from kinediff3d_core.io.files import Array
from kinediff3d_core.io.mask import read_mask
from kinediff3d_core.io.mask_choice import ANY, MaskChoice

PROJECTED = ('the calibration has a distortion and P: the depth image is taken as rectified; of a '
             'raw image give --raw-image')


@dataclass(frozen=True)
class ViewFiles:
    """Where a view is, and what its files do not say.

    Attributes:
        depth, camera_info, mask: files.
        lens: fx, fy, cx, cy in pixels, in place of ``camera_info``.
        camera_name: camera, or image id, in a file of several.
        depth_scale: metres a step; None as the calibration declares, or by the type.
        raw: the images are not rectified: K and the distortion count, not P.
        choice: which of several masks.
    """

    depth: Path
    camera_info: Path | None = None
    mask: Path | None = None
    lens: tuple[float, float, float, float] | None = None
    camera_name: str | None = None
    depth_scale: float | None = None
    raw: bool = False
    choice: MaskChoice = ANY


@dataclass(frozen=True)
class ViewImages:
    """A view.

    Attributes:
        depth: (H, W) float32, m; 0 where there is none. mask: (H, W) bool, or None.
        notes: what the user should know, one line each.
    """

    depth: Array
    intrinsics: Intrinsics
    mask: Array | None
    notes: tuple[str, ...] = ()


def read_view(files: ViewFiles) -> ViewImages:
    """The view, in metres and without distortion.

    Raises:
        ValueError: a file that cannot be read, or sizes that differ. One line that names the file.
    """
    steps = read_steps(files.depth)
    height, width = steps.shape
    camera = _camera(files, (width, height))
    found = camera.intrinsics
    if (found.width, found.height) != (width, height):
        raise ValueError(f'{files.depth} has {width} x {height} pixels, but the camera info is '
                         f'for {found.width} x {found.height}')
    depth = scale_steps(files.depth, steps, files.depth_scale, camera.depth_scale)
    mask = None
    if files.mask is not None:
        mask = read_mask(files.mask, files.choice, (height, width), files.depth.name)
        mask = camera.rectify(mask)
    return ViewImages(camera.rectify(depth), found, mask, (PROJECTED,) if camera.projected else ())


def _camera(files: ViewFiles, size: tuple[int, int]) -> Calibration:
    if files.lens is not None:
        return Calibration(Intrinsics(*files.lens, *size))
    if files.camera_info is None:
        raise ValueError('a depth image needs --camera-info, or all of --fx --fy --cx --cy')
    return read_calibration(files.camera_info, size, files.camera_name, files.depth.stem,
                            files.raw)
