"""The input of ``infer``: its options, and the object's cloud from the files (docs/inputs.md)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kinediff3d_core.cli.arguments import Parser, number

if TYPE_CHECKING:
    from kinediff3d_core.io.files import Array
    from kinediff3d_core.io.view_files import ViewImages
    from kinediff3d_core.observation.segmentation import Candidate

LENS = ('fx', 'fy', 'cx', 'cy')
DEPTH_ONLY = ('mask', 'camera_info', *LENS, 'mask_id', 'mask_index', 'mask_threshold', 'box',
              'depth_scale', 'camera_name', 'raw_image')
FAR = 3.0
"""Median depth of a scene, m, that makes its unit doubtful where no object is found. Chosen."""
POINTS_ONLY = ('segment', 'points_unit', 'points_axes')


def add_input_arguments(command: Parser) -> None:
    """Add the options that say what is observed."""
    command.add_argument('--depth', type=Path, metavar='F',
                         help='16-bit PNG or TIFF (mm), 32-bit TIFF or .npy (m), .npz')
    command.add_argument('--depth-scale', type=number(float, above=0), metavar='M',
                         help='metres of a step of the depth image, such as 0.0001 (default: as '
                              'the camera info declares, else mm of integers, m of floats)')
    _add_camera_arguments(command)
    _add_mask_arguments(command)
    command.add_argument('--points', type=Path, metavar='F',
                         help='instead of --depth: cloud of the object in the camera frame '
                              '(.ply, .pcd, .npy or .npz)')
    command.add_argument('--points-unit', choices=('m', 'cm', 'mm', 'inch'),
                         help='unit of --points (default m)')
    command.add_argument('--points-axes', choices=('optical', 'opengl', 'ros'),
                         help='axes of --points: optical (default; z forward, y down), opengl (y '
                              'up, z backward), ros (x forward, z up)')
    command.add_argument('--segment', action='store_true', default=None,
                         help='with --points: find the object in a cloud of the whole scene')
    command.add_argument('--instances', choices=('best', 'each'), default='best',
                         help='without a mask: estimate the thing on a support that is likeliest '
                              'of the category (default), or each of them, into DIR/1, DIR/2 and '
                              'so on, best first')


def _add_camera_arguments(command: Parser) -> None:
    command.add_argument('--camera-info', type=Path, metavar='F',
                         help='calibration: of ROS, OpenCV, Kalibr, BOP, Open3D, librealsense or '
                              'ORB-SLAM, or a matrix of 9 numbers (text, JSON, .npy)')
    command.add_argument('--camera-name', metavar='N',
                         help='camera, or image id, in a --camera-info of several')
    command.add_argument('--raw-image', action='store_true', default=None,
                         help='the images are not rectified: undistort them by K and D')
    for name in LENS:
        kind = 'focal length' if name[0] == 'f' else 'principal point'
        command.add_argument(f'--{name}', type=number(float), metavar='PX',
                             help=f'{kind} in {name[1]}; all four instead of --camera-info')


def _add_mask_arguments(command: Parser) -> None:
    command.add_argument('--mask', type=Path, metavar='F',
                         help='the object\'s pixels: image, array or COCO JSON; without one, '
                              'one of the things that stand on a support is taken (--instances)')
    command.add_argument('--mask-id', type=number(int, at_least=1), metavar='N',
                         help='the object\'s id in an image of ids, or of its annotation')
    command.add_argument('--mask-index', type=number(int, at_least=0), metavar='N',
                         help='the object\'s mask in an array of masks, from 0')
    command.add_argument('--mask-threshold', type=number(float), metavar='T',
                         help='values above T are the object; logits need 0')
    command.add_argument('--box', type=number(float), nargs=4, metavar=('X', 'Y', 'W', 'H'),
                         help='instead of --mask: the object is in this box of pixels; the table '
                              'in it is removed')


def read_candidates(options: argparse.Namespace) -> list[tuple[str, list[Candidate]]]:
    """The folder of each estimate in --out, and the candidates for its object, best first.

    Raises:
        ValueError: options that do not go together, files that cannot be read, or a cloud that is
            of another size than the category's objects.
        NoEstimate: too few points, or no object stands out.
    """
    if (options.depth is None) == (options.points is None):
        raise ValueError('give either --depth or --points')
    _refuse(options, DEPTH_ONLY if options.depth is None else POINTS_ONLY)
    if options.instances == 'each':
        return [(str(k), [one]) for k, one in enumerate(_each(options), start=1)]
    return [('', _points_candidates(options) if options.depth is None
             else _depth_candidates(options))]


def unmasked_hint(options: argparse.Namespace) -> str:
    """What to say after a refusal, where segmentation has chosen what is estimated; else ''."""
    if options.depth is None or options.mask is not None or options.box is not None:
        return ''
    return ('; segmentation has chosen what is estimated: for another object, or furniture that '
            'is built in, give --mask or --box')


def _each(options: argparse.Namespace) -> list[Candidate]:
    """All things on a support, best first."""
    from kinediff3d_core.observation.cloud import DepthView
    from kinediff3d_core.observation.segmentation import cloud_candidates, image_candidates

    if options.mask is not None or options.box is not None or (
            options.depth is None and not options.segment):
        raise ValueError('--instances each goes with --depth without --mask and --box, or with '
                         '--points --segment')
    if options.depth is None:
        return cloud_candidates(_points(options))
    view = _view(options)
    return image_candidates(DepthView(view.depth, view.intrinsics))


def _refuse(options: argparse.Namespace, names: tuple[str, ...]) -> None:
    """Refuse options that go with the other kind of input."""
    for name in names:
        if getattr(options, name) is not None:
            goes, other = ('--depth', '--points') if names is DEPTH_ONLY else \
                ('--points', '--depth')
            raise ValueError(f'--{name.replace("_", "-")} goes with {goes}, not {other}')


def _points(options: argparse.Namespace) -> Array:
    """The points (N, 3) of the file, m, optical axes."""
    from kinediff3d_core.io.cloud import OtherAxes, read_cloud, require_optical_axes

    points = read_cloud(options.points, options.points_unit or 'm',
                        options.points_axes or 'optical')
    try:
        require_optical_axes(points)
    except OtherAxes as error:
        hint = f': give --points-axes {error.likely}' if error.likely else ''
        raise ValueError(f'{options.points}: {error}{hint}') from error
    return points


def _points_candidates(options: argparse.Namespace) -> list[Candidate]:
    from kinediff3d_core.inference.view import cloud_of
    from kinediff3d_core.io.cloud import UNITS
    from kinediff3d_core.observation.segmentation import Candidate, cloud_candidates

    points, unit = _points(options), options.points_unit or 'm'
    found = cloud_candidates(points) if options.segment else [
        Candidate(cloud_of(points, None, None, None))]
    factors = {f'--points-unit {name}': factor / UNITS[unit] for name, factor in UNITS.items()
               if name != unit}
    return _of_size(found, options, factors, options.points,
                    '' if options.segment else 'it shows more than the object (--segment)')


def _depth_candidates(options: argparse.Namespace) -> list[Candidate]:
    import numpy as np

    from kinediff3d_core.inference.view import cloud_of
    from kinediff3d_core.io.depth import MILLIMETRE, SCALES
    from kinediff3d_core.objects.estimate import NoEstimate
    from kinediff3d_core.observation.cloud import DepthView
    from kinediff3d_core.observation.segmentation import Candidate, image_candidates

    view = _view(options)
    try:
        mask = view.mask if options.box is None else _box_mask(view, options.box)
        found = image_candidates(DepthView(view.depth, view.intrinsics)) if mask is None else [
            Candidate(cloud_of(None, view.depth, view.intrinsics, mask))]
    except NoEstimate as refusal:
        seen = view.depth[view.depth > 0]
        if options.depth_scale is None and len(seen) and np.median(seen) > FAR:
            raise NoEstimate(f'{refusal}; the scene is {np.median(seen):.2g} m deep: if that is '
                             'wrong, give --depth-scale') from refusal
        raise
    now = options.depth_scale or MILLIMETRE
    factors = {f'--depth-scale {scale:g}': scale / now for scale in SCALES if scale != now}
    return _of_size(found, options, factors, options.mask or options.depth,
                    '' if options.mask is None else 'the mask shows more than the object')


def _view(options: argparse.Namespace) -> ViewImages:
    """The depth image, its camera and its mask."""
    from kinediff3d_core.io.mask_choice import MaskChoice
    from kinediff3d_core.io.view_files import ViewFiles, read_view

    lens = [getattr(options, name) for name in LENS]
    given = [x for x in lens if x is not None]
    if options.camera_info is not None and given:
        raise ValueError('give either --camera-info or --fx --fy --cx --cy')
    if options.camera_info is None and len(given) < len(lens):
        raise ValueError('a depth image needs --camera-info, or all of --fx --fy --cx --cy')
    if options.box is not None and options.mask is not None:
        raise ValueError('give either --mask or --box')
    if options.mask is None:
        for name in ('mask_id', 'mask_index', 'mask_threshold'):
            if getattr(options, name) is not None:
                raise ValueError(f'--{name.replace("_", "-")} goes with --mask')
    if options.raw_image and given:
        raise ValueError('--raw-image needs the distortion in a --camera-info')
    view = read_view(ViewFiles(
        options.depth, options.camera_info, options.mask,
        (lens[0], lens[1], lens[2], lens[3]) if given else None, options.camera_name,
        options.depth_scale, bool(options.raw_image),
        MaskChoice(options.mask_id, options.mask_index, options.mask_threshold)))
    for note in view.notes:
        print(f'kinediff3d: note: {note}', file=sys.stderr)
    return view


def _box_mask(view: ViewImages, box: list[float]) -> Array:
    """Mask (H, W) of a box x, y, width, height, pixels; ``infer`` removes the table in it."""
    from kinediff3d_core.io.mask_pixels import box_mask

    x, y, width, height = box
    rows, columns = view.depth.shape
    if width < 1 or height < 1 or x >= columns or y >= rows or x + width <= 0 or y + height <= 0:
        raise ValueError(f'--box {x:g} {y:g} {width:g} {height:g} (x, y, width, height) has no '
                         f'pixel of an image of {columns} x {rows}')
    return box_mask((int(x), int(y), int(x + width), int(y + height)), (rows, columns))


def _of_size(candidates: list[Candidate], options: argparse.Namespace,
             factors: Mapping[str, float], file: Path, cause: str) -> list[Candidate]:
    """The candidates that an object of the category can be; refuse the best one, and name the
    likely cause, if there is none."""
    from kinediff3d_core.networks.checkpoints import trained_categories
    from kinediff3d_core.objects.category import get_category
    from kinediff3d_core.objects.estimate import NoEstimate
    from kinediff3d_core.observation.object_size import SIZES, fits, likely_unit, size_of

    names = trained_categories(options.weights) if options.category == 'auto' else \
        [options.category]
    found = [get_category(name) for name in names]
    fitting = [one for one in candidates if fits(one.cloud.points, found)]
    if fitting:
        return fitting
    points = candidates[0].cloud.points
    unit = likely_unit(points, found, factors)
    causes = [f'the unit is another (likely {unit})' if unit else 'the unit is another', cause]
    largest = max(c.scale for c in found)
    if cause and size_of(points) < SIZES[0] * largest:
        causes[1] = 'it shows a small piece of the object'
    reason = (f'{file}: the object measures {size_of(points):.3g} m from corner to corner, one of '
              f'category {options.category!r} about {2 * largest:.2g} m; '
              f'{" or ".join(c for c in causes if c)}')
    if cause:
        raise ValueError(reason)
    raise NoEstimate(reason)
