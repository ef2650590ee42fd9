"""The command ``infer``: the object in one depth image or cloud."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinediff3d_core.cli.arguments import DONE, NO_ANSWER, add_command
from kinediff3d_core.cli.infer_input import add_input_arguments, read_candidates, unmasked_hint

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

exit status: 0 an estimate, 1 no estimate (the reason is in one line), 2 bad input
'''

FILES = ('estimate.json', 'object.urdf', 'meshes', 'preview.png')
"""What the command writes for an object."""


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'infer', _infer,
                          'estimate the object in one depth image or cloud', EXAMPLES)
    add_input_arguments(command)
    command.add_argument('--category', required=True, metavar='C',
                         help='category of the object; auto tries every category that has weights')
    command.add_argument('--out', type=Path, required=True, metavar='DIR',
                         help='folder for estimate.json, object.urdf, meshes/ and preview.png')
    command.add_min_confidence()
    command.add_seed()
    command.add_model_arguments()


def _infer(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.outputs import replaced_results
    from kinediff3d_core.objects.category import CATEGORIES, unknown_category

    if options.category not in (*CATEGORIES, 'auto'):
        raise ValueError(unknown_category(options.category, (*sorted(CATEGORIES), 'auto')))
    names = ('1',) if options.instances == 'each' else FILES
    with replaced_results(options.out, names) as folder:
        return _estimate_each(options, folder)


def _estimate_each(options: argparse.Namespace, folder: Path) -> int:
    """Write the estimate of each object into a folder; returns the exit status."""
    from kinediff3d_core.io.estimate import write_estimate
    from kinediff3d_core.objects.estimate import NoEstimate

    objects = read_candidates(options)
    from kinediff3d_core.inference.auto import load_pipeline
    from kinediff3d_core.inference.candidates import choose_candidate
    from kinediff3d_core.inference.refusal import require_confidence
    from kinediff3d_core.visualization.preview import draw_preview

    pipeline = load_pipeline(options.category, options.preset, options.device, options.weights)
    infer = partial(pipeline.infer, mesh=False, seed=options.seed)
    written = 0
    for name, candidates in objects:
        out = options.out / name
        try:
            choice = choose_candidate(infer, candidates, options.min_confidence)
            estimate = pipeline.with_meshes(
                require_confidence(choice.estimate, options.min_confidence))
        except NoEstimate as reason:
            if options.instances == 'best':
                raise NoEstimate(f'{reason}{unmasked_hint(options)}') from reason
            print(f'kinediff3d: no estimate for {out}: {reason}', file=sys.stderr)
            continue
        write_estimate(estimate, folder / name, options.weights)
        draw_preview(estimate, folder / name / 'preview.png')
        _print(estimate)
        if len(candidates) > 1:
            print(f'  segmentation: thing {choice.index + 1} of {len(candidates)} of this size')
        print(f'wrote {out}/estimate.json, object.urdf, meshes/ and preview.png')
        written += 1
    return DONE if written else NO_ANSWER


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
