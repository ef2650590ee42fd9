"""The command ``infer``: the object in one depth image or cloud."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinediff3d_core.cli.arguments import DONE, NO_ANSWER, add_command, number

if TYPE_CHECKING:
    from kinediff3d_core.objects.estimate import ArticulatedEstimate

EXAMPLES = '''
  kinediff3d infer --depth depth.png --camera-info camera_info.yaml --mask mask.png --category \
laptop --out result
  kinediff3d infer --depth depth.npy --fx 600 --fy 600 --cx 320 --cy 240 --category laptop --out \
result
  kinediff3d infer --depth depth.png --camera-info camera_info.yaml --instances each --category \
auto --out results
  kinediff3d infer --points cloud.ply --category laptop --out result
'''


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'infer', _infer,
                          'estimate the object in one depth image or cloud', EXAMPLES)
    command.add_argument('--depth', type=Path, metavar='F',
                         help='16-bit PNG or TIFF (mm), 32-bit TIFF or .npy (m)')
    command.add_argument('--points', type=Path, metavar='F',
                         help='instead of --depth: cloud of the object in the camera frame, '
                              'metres (.ply, .pcd, .npy or .npz)')
    command.add_argument('--camera-info', type=Path, metavar='F',
                         help='YAML or JSON with k (or fx, fy, cx, cy), width and height')
    for name in ('fx', 'fy', 'cx', 'cy'):
        kind = 'focal length' if name[0] == 'f' else 'principal point'
        command.add_argument(f'--{name}', type=number(float), metavar='PX',
                             help=f'{kind} in {name[1]}; all four instead of --camera-info')
    command.add_argument('--mask', type=Path, metavar='F',
                         help='image that is not zero on the object; without one, the best of '
                              'the things that stand on a support plane is taken')
    command.add_argument('--segment', action='store_true',
                         help='with --points: find the object in a cloud of the whole scene')
    command.add_argument('--instances', choices=('best', 'each'), default='best',
                         help='without a mask: estimate the best of the things on a support '
                              '(default), or each of them, into DIR/1, DIR/2 and so on, best '
                              'first')
    command.add_argument('--category', required=True, metavar='C',
                         help='category of the object; auto tries every category that has weights')
    command.add_argument('--out', type=Path, required=True, metavar='DIR',
                         help='folder for estimate.json, object.urdf, meshes/ and preview.png')
    command.add_seed()
    command.add_model_arguments()


def _infer(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.estimate import write_estimate
    from kinediff3d_core.objects.category import get_category
    from kinediff3d_core.objects.estimate import NoEstimate

    if options.category != 'auto':
        get_category(options.category)
    inputs = _observation(options)
    from kinediff3d_core.inference.auto import load_pipeline
    from kinediff3d_core.visualization.preview import draw_preview

    pipeline = load_pipeline(options.category, options.preset, options.device, options.weights)
    written = 0
    for out, instance in _instances(options, inputs):
        try:
            estimate = pipeline.infer(**instance, mesh=True, seed=options.seed)
        except NoEstimate as reason:
            if options.instances == 'best':
                raise
            print(f'kinediff3d: no estimate for {out}: {reason}', file=sys.stderr)
            continue
        write_estimate(estimate, out)
        draw_preview(estimate, out / 'preview.png')
        _print(estimate)
        print(f'wrote {out}/estimate.json, object.urdf, meshes/ and preview.png')
        written += 1
    return DONE if written else NO_ANSWER


def _instances(options: argparse.Namespace, inputs: dict[str, Any],
               ) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where the estimate of each instance goes, and the arguments of ``Pipeline.infer`` for it.

    Raises:
        NoEstimate: nothing stands out.
    """
    from kinediff3d_core.observation.segmentation import (
        cloud_instances,
        object_in_cloud,
        segment_instances,
    )

    if options.instances == 'each':
        if options.points is not None:
            each = [{'points': cloud} for cloud in cloud_instances(inputs['points'])]
        else:
            found = segment_instances(inputs['depth'], inputs['intrinsics'])
            each = [inputs | {'mask': found.ids == k} for k in range(1, len(found) + 1)]
        yield from ((options.out / str(k), one) for k, one in enumerate(each, start=1))
    elif options.segment:
        yield options.out, {'points': object_in_cloud(inputs['points'])}
    else:
        yield options.out, inputs


def _observation(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``Pipeline.infer`` from files."""
    from kinediff3d_core.geometry.camera import Intrinsics
    from kinediff3d_core.io.camera_info import read_camera_info
    from kinediff3d_core.io.cloud import read_cloud
    from kinediff3d_core.io.depth import read_depth
    from kinediff3d_core.io.mask import read_mask

    if (options.depth is None) == (options.points is None):
        raise ValueError('give either --depth or --points')
    if options.instances == 'each' and (options.mask is not None or (
            options.points is not None and not options.segment)):
        raise ValueError('--instances each goes with --depth without --mask, or with --points '
                         '--segment')
    if options.points is not None:
        for name in ('mask', 'camera_info', 'fx', 'fy', 'cx', 'cy'):
            if getattr(options, name) is not None:
                raise ValueError(f'--{name.replace("_", "-")} goes with --depth, not --points')
        return {'points': read_cloud(options.points)}
    if options.segment:
        raise ValueError('--segment goes with --points; a depth image without --mask is '
                         'segmented anyway')
    depth = read_depth(options.depth)
    size = (depth.shape[1], depth.shape[0])
    single = [getattr(options, n) for n in ('fx', 'fy', 'cx', 'cy')]
    if options.camera_info is not None:
        if any(x is not None for x in single):
            raise ValueError('give either --camera-info or --fx --fy --cx --cy')
        intrinsics = read_camera_info(options.camera_info, size)
    elif any(x is None for x in single):
        raise ValueError('a depth image needs --camera-info, or all of --fx --fy --cx --cy')
    else:
        intrinsics = Intrinsics(options.fx, options.fy, options.cx, options.cy, *size)
    if (intrinsics.width, intrinsics.height) != size:
        raise ValueError(f'{options.depth} has {size[0]} x {size[1]} pixels, but the camera info '
                         f'is for {intrinsics.width} x {intrinsics.height}')
    mask = None if options.mask is None else read_mask(options.mask)
    if mask is not None and mask.shape != depth.shape:
        raise ValueError(f'{options.mask} has {mask.shape[1]} x {mask.shape[0]} pixels, the depth '
                         f'image {size[0]} x {size[1]}')
    return {'depth': depth, 'intrinsics': intrinsics, 'mask': mask}


def _print(estimate: ArticulatedEstimate) -> None:
    """Print the estimate in a few lines."""
    x, y, z = estimate.T_camera_base[:3, 3]
    print(f'{estimate.category} at ({x:.3f}, {y:.3f}, {z:.3f}) m in the camera frame, '
          f'confidence {estimate.confidence:.2f}, residual {1000 * estimate.residual:.1f} mm')
    for joint in estimate.joints:
        if joint.joint_type == 'prismatic':
            print(f'  {joint.name}: {1000 * joint.position:.1f} mm '
                  f'(± {1000 * joint.std:.1f}), {joint.joint_type}')
        else:
            print(f'  {joint.name}: {degrees(joint.position):.1f}° '
                  f'(± {degrees(joint.std):.1f}), {joint.joint_type}')
    if estimate.categories:
        ranked = sorted(estimate.categories.items(), key=lambda item: -item[1])
        print('  category: ' + ', '.join(f'{name} {100 * w:.0f} %' for name, w in ranked[:3]))
    stages = ', '.join(f'{stage} {1000 * t:.0f}' for stage, t in estimate.seconds.items())
    print(f'  {1000 * sum(estimate.seconds.values()):.0f} ms ({stages})')
