"""The command ``generate``: an estimated object at other joint positions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from math import radians
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinediff3d_core.cli.arguments import DONE, add_command, number

if TYPE_CHECKING:
    from kinediff3d_core.data.truth import Truth
    from kinediff3d_core.evaluation.samples import Sample
    from kinediff3d_core.inference.pipeline import Pipeline
    from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh

EXAMPLES = '''
  kinediff3d generate --estimate result --positions 30 --positions 90 --degrees --out states
  kinediff3d generate --truth 0/7 --positions 1.2 --out states
'''


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'generate', _generate,
                          'write an estimated object at other joint positions', EXAMPLES)
    command.add_argument('--estimate', type=Path, metavar='F',
                         help='estimate.json of "infer", or its folder')
    command.add_argument('--positions', type=number(float), nargs='+', action='append',
                         required=True, metavar='Q',
                         help='a position of each joint, rad or m; may be given several times')
    command.add_argument('--degrees', action='store_true',
                         help='revolute positions are in degrees')
    command.add_argument('--out', type=Path, required=True, metavar='DIR',
                         help='folder for generated.json and one folder of each state')
    command.add_argument('--truth', metavar='SEED/INDEX',
                         help='sample INDEX of "evaluate --source procedural --seed SEED": score '
                              'the states against the true object; without --estimate that view '
                              'is estimated first')
    command.add_argument('--category', default='laptop', metavar='C',
                         help='category of --truth without --estimate (default laptop)')
    command.add_model_arguments()


def _generate(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.outputs import replaced_results

    if options.estimate is None and options.truth is None:
        raise ValueError('give --estimate, or --truth to estimate one of its views first')
    names = ('generated.json', *(f'state_{i}' for i in range(len(options.positions))))
    with replaced_results(options.out, names) as folder:
        return _generate_into(options, folder)


def _generate_into(options: argparse.Namespace, folder: Path) -> int:
    """Write the states into a folder; returns the exit status."""
    from kinediff3d_core.io.estimate import read_estimate, write_estimate
    from kinediff3d_core.io.files import write_text
    from kinediff3d_core.objects.category import get_category

    _find_weights(options)
    estimate = None if options.estimate is None else read_estimate(options.estimate)
    category = get_category(options.category if estimate is None else estimate.category)
    states = [_positions(category.joints, values, options.degrees)
              for values in options.positions]
    sample = None if options.truth is None else _true_sample(category.name, options.truth)
    from kinediff3d_core.inference.pipeline import Pipeline

    pipeline = Pipeline.load(category.name, preset=options.preset, device=options.device,
                             weights=options.weights)
    if estimate is None:
        assert sample is not None
        estimate = pipeline.infer(depth=sample.depth, intrinsics=sample.intrinsics,
                                  mask=sample.mask, mesh=True)
        write_estimate(estimate, folder, options.weights)
    truth = None if sample is None else sample.truth
    entries = [_write_state(pipeline, estimate, state, folder / f'state_{i}', truth)
               for i, state in enumerate(states)]
    write_text(folder / 'generated.json', json.dumps(
        {'category': category.name, 'truth': options.truth, 'states': entries}, indent=1) + '\n')
    print(f'wrote {options.out}/generated.json and {len(states)} state(s)')
    return DONE


def _find_weights(options: argparse.Namespace) -> None:
    """Without --weights, take those that made the estimate; they may be of an own category."""
    from kinediff3d_core.io.estimate import weights_of
    from kinediff3d_core.objects.category_file import add_own_categories

    if options.weights is None and options.estimate is not None:
        options.weights = weights_of(options.estimate)
        if options.weights is not None:
            add_own_categories(options.weights)


def _write_state(pipeline: Pipeline, estimate: ArticulatedEstimate, state: list[float],
                 folder: Path, truth: Truth | None) -> dict[str, Any]:
    """Write one state's meshes and picture; returns its entry in ``generated.json``."""
    generated = pipeline.generate(estimate, state)
    names = [p.name for p in estimate.parts]
    scores: dict[str, Any] = {}
    for way, meshes in (('decoder', generated.decoder), ('chain', generated.chain)):
        by_name = dict(zip(names, meshes, strict=True))
        _write_parts(folder / way, by_name)
        if truth is not None:
            scores[way] = _score(by_name, estimate, truth, state)
    _draw_states(folder / 'preview.png', generated.decoder, generated.chain, truth, state)
    positions = ', '.join(f'{q:.3f}' for q in state)
    print(f'{folder.name}: positions {positions}' + ''.join(
        f'; {way} cd_w {s["cd_w"]:.2f} (L1 to the surface {s["cd_l1_w_surface"]:.2f})'
        for way, s in scores.items()))
    entry: dict[str, Any] = {'positions': list(state), 'folder': folder.name}
    return entry | ({'cd': scores} if scores else {})


def _score(meshes: Mapping[str, Mesh], estimate: ArticulatedEstimate, truth: Truth,
           state: Sequence[float]) -> dict[str, float]:
    """Chamfer distances of generated meshes from the true object in the same state."""
    import numpy as np

    from kinediff3d_core.evaluation.shape_metrics import ShapeComparison, generation_metrics

    comparison = ShapeComparison(truth, np.array(state), np.random.default_rng(0))
    return generation_metrics(meshes, estimate, comparison)


def _positions(joints: Sequence[Any], values: Sequence[float], in_degrees: bool) -> list[float]:
    """Checked joint positions, rad or m, from the values of one --positions."""
    if len(values) != len(joints):
        raise ValueError(f'--positions needs {len(joints)} value(s), one a joint '
                         f'({", ".join(j.name for j in joints)}), got {len(values)}')
    state = [radians(v) if in_degrees and j.joint_type == 'revolute' else v
             for v, j in zip(values, joints, strict=True)]
    for q, joint in zip(state, joints, strict=True):
        if not joint.lower - 1e-6 <= q <= joint.upper + 1e-6:
            unit = 'm' if joint.joint_type == 'prismatic' else 'rad'
            raise ValueError(f'--positions: {joint.name} goes from {joint.lower:.4g} to '
                             f'{joint.upper:.4g} {unit}, got {q:.4g}; see --degrees')
    return state


def _true_sample(category: str, name: str) -> Sample:
    """The procedural sample that --truth names."""
    from kinediff3d_core.evaluation.samples import procedural_samples

    try:
        seed, index = (int(x) for x in name.removeprefix('procedural/').split('/'))
        if seed < 0 or index < 0:
            raise ValueError(name)
    except ValueError:
        raise ValueError(f'--truth is SEED/INDEX, for example 0/7; got {name!r}') from None
    return procedural_samples(category, seed)(index)


def _write_parts(folder: Path, meshes: Mapping[str, Mesh]) -> None:
    from kinediff3d_core.io.urdf_folder import write_obj

    for name, mesh in meshes.items():
        write_obj(mesh, folder / f'{name}.obj')


def _draw_states(path: Path, decoder: Sequence[Mesh], chain: Sequence[Mesh], truth: Truth | None,
                 state: Sequence[float]) -> None:
    """Decoder, chain and truth at one state, side by side in the base frame."""
    import numpy as np

    from kinediff3d_core.data.truth import part_poses
    from kinediff3d_core.objects.estimate import transform_mesh
    from kinediff3d_core.visualization.panels import write_panels
    from kinediff3d_core.visualization.rasterizer import render
    from kinediff3d_core.visualization.scene import RenderedScene, part_colours
    from kinediff3d_core.visualization.virtual_camera import side_view

    rows: list[tuple[str, Sequence[Mesh]]] = [('decoder', decoder), ('kinematic chain', chain)]
    if truth is not None and truth.surfaces is not None:
        rows.append(('truth', [transform_mesh(T, s.mesh) for T, s in
                               zip(part_poses(truth, np.array(state)), truth.surfaces,
                                   strict=True)]))
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    T[:3, 3] = (0.0, 0.0, 2.0)
    shown = [(name, tuple(transform_mesh(T, m) for m in meshes)) for name, meshes in rows]
    camera = side_view(np.concatenate([m.vertices for _, meshes in shown for m in meshes]), T,
                       np.array([0.0, 1.0, 0.0]))
    panels = [(name, render(RenderedScene(meshes, part_colours(len(meshes))), camera))
              for name, meshes in shown]
    write_panels(panels, path, 'positions ' + ', '.join(f'{q:.3f}' for q in state))
