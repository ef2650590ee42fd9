"""The ``kinediff3d`` command: demo, infer, generate, evaluate, benchmark, train, import, replay,
view.

Torch and the networks are imported by the commands that need them, so that ``--help`` and errors
in arguments answer at once. Exit status: 0 done, 1 no estimate, 2 unusable input.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from math import degrees, isfinite, radians
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from kinediff3d_core.estimate import ArticulatedEstimate, Mesh
    from kinediff3d_core.evaluation.metrics import Truth

DONE, NO_ANSWER, UNUSABLE = 0, 1, 2
PRESETS = ('fast', 'paper')
PEERS = ('regression', 'asdf', 'score')
STAGES = ('shape', 'pose', 'latent')


class Parser(argparse.ArgumentParser):
    """Errors are one line, as for every other bad input."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f'kinediff3d: error: {message} (see {self.prog} --help)\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else [str(a) for a in arguments]
    options = parser().parse_args(given)
    options.command = shlex.join(['kinediff3d', *given])
    try:
        if getattr(options, 'weights', None) is not None:
            from kinediff3d_core.category_file import add_own_categories

            add_own_categories(options.weights)
        return int(options.run(options))
    except (ValueError, OSError, FloatingPointError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        print(f'kinediff3d: error: {reason}', file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print('kinediff3d: interrupted', file=sys.stderr)
        return 130


def parser() -> Parser:
    """All commands and their arguments."""
    from kinediff3d_core.import_command import add_import
    from kinediff3d_core.live_commands import add_replay, add_view

    top = Parser(prog='kinediff3d', description='Articulated objects from one depth image: part '
                 'poses, joint state, meshes and URDF.', epilog='Every command has --help.')
    commands = top.add_subparsers(title='commands', metavar='COMMAND', required=True,
                                  parser_class=Parser)
    for add in (_add_demo, _add_infer, _add_generate, _add_evaluate, _add_benchmark, _add_train,
                add_import, add_replay, add_view):
        add(commands)
    return top


def _command(commands: Any, name: str, run: Any, text: str, examples: str) -> Parser:
    command: Parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + '.',
        epilog='examples:\n' + examples, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run)
    return command


def _add_model(command: Parser, preset: bool = True) -> None:
    if preset:
        command.add_argument('--preset', choices=PRESETS, default='fast',
                             help='fast (default), or paper: the paper\'s samplers and descent')
    command.add_argument('--device', default='cpu', help='cpu (default), cuda or cuda:N')
    command.add_argument('--weights', type=Path, metavar='DIR',
                         help='folder with the networks; default: the shipped ones')


def _number(kind: type, at_least: float | None = None, above: float | None = None) -> Any:
    """A number within bounds, for argparse."""
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not {"a whole number" if kind is int else "a number"}') from None
        if not isfinite(value):
            raise argparse.ArgumentTypeError(f'{text!r} is not finite')
        if at_least is not None and value < at_least:
            raise argparse.ArgumentTypeError(f'{text} is less than {at_least:g}')
        if above is not None and value <= above:
            raise argparse.ArgumentTypeError(f'{text} is not above {above:g}')
        return value

    return read


# demo


def _add_demo(commands: Any) -> None:
    command = _command(
        commands, 'demo', _demo,
        'run the ROS 2 nodes on a simulated depth camera that watches a moving joint',
        '  kinediff3d demo --headless --out demo_output\n'
        '  kinediff3d demo --category laptop --seconds 60')
    command.add_argument('--category', default='laptop', metavar='C', help='default: laptop')
    command.add_argument('--seconds', type=_number(float, above=0), default=30.0, metavar='S',
                         help='how long the camera runs (default 30)')
    command.add_argument('--rate', type=_number(float, above=0), default=5.0, metavar='HZ',
                         help='frames a second of the camera (default 5)')
    command.add_argument('--headless', action='store_true', help='no RViz: pictures and JSON only')
    command.add_argument('--out', type=Path, default=Path('demo_output'), metavar='DIR',
                         help='folder for summary.json, pictures, mesh and URDF '
                              '(default demo_output)')


def _demo(options: argparse.Namespace) -> int:
    try:
        module = import_module('kinediff3d_ros.demo')
    except ImportError as error:
        raise ValueError(f'the demo needs the ROS 2 side, which cannot be imported ({error}); '
                         'source a ROS 2 workspace or run "make demo"') from error
    return int(module.run_demo(options.category, options.seconds, options.headless, options.out,
                               options.rate) or DONE)


# infer


def _add_infer(commands: Any) -> None:
    command = _command(
        commands, 'infer', _infer, 'estimate the object in one depth image or cloud',
        '  kinediff3d infer --depth depth.png --camera-info camera_info.yaml --mask mask.png '
        '--category laptop --out result\n'
        '  kinediff3d infer --depth depth.npy --fx 600 --fy 600 --cx 320 --cy 240 '
        '--category laptop --out result\n'
        '  kinediff3d infer --points cloud.ply --category laptop --out result')
    command.add_argument('--depth', type=Path, metavar='F',
                         help='16-bit PNG or TIFF (mm), 32-bit TIFF or .npy (m)')
    command.add_argument('--points', type=Path, metavar='F',
                         help='instead of --depth: .ply, .pcd, .npy or .npz cloud of the object, '
                              'camera frame, metres')
    command.add_argument('--camera-info', type=Path, metavar='F',
                         help='YAML or JSON with k (or fx, fy, cx, cy), width and height')
    for name in ('fx', 'fy', 'cx', 'cy'):
        command.add_argument(f'--{name}', type=_number(float), metavar='PX',
                             help='instead of --camera-info')
    command.add_argument('--mask', type=Path, metavar='F',
                         help='image that is not zero on the object; without one the support '
                              'plane is removed and the largest cluster kept')
    command.add_argument('--segment', action='store_true',
                         help='with --points: find the object in a cloud of the whole scene')
    command.add_argument('--category', required=True, metavar='C',
                         help='what it is; auto tries every category that has weights')
    command.add_argument('--out', type=Path, required=True, metavar='DIR',
                         help='folder for estimate.json, object.urdf, meshes/ and preview.png')
    command.add_argument('--seed', type=_number(int, at_least=0), default=0)
    _add_model(command)


def _infer(options: argparse.Namespace) -> int:
    from kinediff3d_core.categories import get_category
    from kinediff3d_core.estimate import NoEstimate
    from kinediff3d_core.files import write_estimate

    if options.category != 'auto':
        get_category(options.category)
    inputs = _observation(options)
    from kinediff3d_core.auto import load_pipeline
    from kinediff3d_core.preview import draw_preview

    pipeline = load_pipeline(options.category, options.preset, options.device, options.weights)
    try:
        if options.points is not None and options.segment:
            from kinediff3d_core.segmentation import object_in_cloud

            inputs['points'] = object_in_cloud(inputs['points'])
        estimate = pipeline.infer(**inputs, mesh=True, seed=options.seed)
    except NoEstimate as reason:
        print(f'kinediff3d: no estimate: {reason}', file=sys.stderr)
        return NO_ANSWER
    write_estimate(estimate, options.out)
    draw_preview(estimate, options.out / 'preview.png')
    _tell(estimate)
    print(f'wrote {options.out}/estimate.json, object.urdf, meshes/ and preview.png')
    return DONE


def _observation(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``Pipeline.infer`` from files."""
    from kinediff3d_core.files import read_camera_info, read_cloud, read_depth, read_mask
    from kinediff3d_core.geometry import Intrinsics

    if (options.depth is None) == (options.points is None):
        raise ValueError('give either --depth or --points')
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


def _tell(estimate: ArticulatedEstimate) -> None:
    """The answer in a few lines."""
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
    told = ', '.join(f'{stage} {1000 * t:.0f}' for stage, t in estimate.seconds.items())
    print(f'  {1000 * sum(estimate.seconds.values()):.0f} ms ({told})')


# generate


def _add_generate(commands: Any) -> None:
    command = _command(
        commands, 'generate', _generate,
        'write an estimated object at other joint positions, decoded anew and by its joints',
        '  kinediff3d generate --estimate result --positions 30 --positions 90 --degrees '
        '--out states\n'
        '  kinediff3d generate --truth 0/7 --positions 1.2 --out states')
    command.add_argument('--estimate', type=Path, metavar='F',
                         help='estimate.json of "infer", or its folder')
    command.add_argument('--positions', type=_number(float), nargs='+', action='append',
                         required=True, metavar='Q',
                         help='one position a joint, rad or m; may be given several times')
    command.add_argument('--degrees', action='store_true',
                         help='revolute positions are in degrees')
    command.add_argument('--out', type=Path, required=True, metavar='DIR')
    command.add_argument('--truth', metavar='SEED/INDEX',
                         help='sample INDEX of "evaluate --source procedural --seed SEED": score '
                              'the states against the true object; without --estimate that view '
                              'is estimated first')
    command.add_argument('--category', default='laptop', metavar='C',
                         help='of --truth without --estimate (default laptop)')
    _add_model(command)


def _generate(options: argparse.Namespace) -> int:
    import numpy as np

    from kinediff3d_core.categories import get_category
    from kinediff3d_core.estimate import NoEstimate
    from kinediff3d_core.files import read_estimate, write_estimate
    from kinediff3d_core.urdf import write_text

    if options.estimate is None and options.truth is None:
        raise ValueError('give --estimate, or --truth to estimate one of its views first')
    estimate = None if options.estimate is None else read_estimate(options.estimate)
    category = get_category(options.category if estimate is None else estimate.category)
    states = [_positions(category.joints, values, options.degrees)
              for values in options.positions]
    sample = None if options.truth is None else _true_sample(category.name, options.truth)
    from kinediff3d_core.evaluation.metrics import generation_metrics
    from kinediff3d_core.pipeline import Pipeline

    pipeline = Pipeline.load(category.name, preset=options.preset, device=options.device,
                             weights=options.weights)
    if estimate is None:
        assert sample is not None
        try:
            estimate = pipeline.infer(depth=sample.depth, intrinsics=sample.intrinsics,
                                      mask=sample.mask, mesh=True)
        except NoEstimate as reason:
            print(f'kinediff3d: no estimate: {reason}', file=sys.stderr)
            return NO_ANSWER
        write_estimate(estimate, options.out)
    names = [p.name for p in estimate.parts]
    told: list[dict[str, Any]] = []
    for i, state in enumerate(states):
        made = pipeline.generate(estimate, state)
        folder = options.out / f'state_{i}'
        scores: dict[str, Any] = {}
        for way, meshes in (('decoder', made.decoder), ('chain', made.chain)):
            _write_parts(folder / way, names, meshes)
            if sample is not None:
                scores[way] = generation_metrics(meshes, names, estimate, sample.truth,
                                                 np.array(state), np.random.default_rng(0))
        _draw_states(folder / 'preview.png', made.decoder, made.chain,
                     None if sample is None else sample.truth, state)
        told.append({'positions': list(state), 'folder': folder.name,
                     **({'cd': scores} if scores else {})})
        shown = ', '.join(f'{q:.3f}' for q in state)
        print(f'{folder}: positions {shown}' + ''.join(
            f'; {way} cd_w {s["cd_w"]:.2f} (to the surface {s["cd_w_surface"]:.2f})'
            for way, s in scores.items()))
    write_text(options.out / 'generated.json', json.dumps(
        {'category': category.name, 'truth': options.truth, 'states': told}, indent=1) + '\n')
    return DONE


def _positions(joints: Sequence[Any], values: Sequence[float], in_degrees: bool) -> list[float]:
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


def _true_sample(category: str, name: str) -> Any:
    from kinediff3d_core.evaluation.evaluate import procedural_samples

    try:
        seed, index = (int(x) for x in name.removeprefix('procedural/').split('/'))
        if seed < 0 or index < 0:
            raise ValueError(name)
    except ValueError:
        raise ValueError(f'--truth is SEED/INDEX, for example 0/7; got {name!r}') from None
    return procedural_samples(category, seed)(index)


def _write_parts(folder: Path, names: Sequence[str], meshes: Sequence[Mesh]) -> None:
    from kinediff3d_core.urdf import write_obj

    for name, mesh in zip(names, meshes, strict=True):
        write_obj(mesh, folder / f'{name}.obj')


def _draw_states(path: Path, decoder: Sequence[Mesh], chain: Sequence[Mesh], truth: Truth | None,
                 state: Sequence[float]) -> None:
    """Decoder, chain and truth at one state, side by side in the base frame."""
    import numpy as np

    from kinediff3d_core.evaluation.metrics import moved_mesh, part_poses
    from kinediff3d_core.preview import PART_COLOURS, Scene, render, side_view, write_panels

    rows: list[tuple[str, Sequence[Mesh]]] = [('decoder', decoder), ('kinematic chain', chain)]
    if truth is not None and truth.surfaces is not None:
        rows.append(('truth', [moved_mesh(T, s.mesh) for T, s in
                               zip(part_poses(truth, np.array(state)), truth.surfaces,
                                   strict=True)]))
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    T[:3, 3] = (0.0, 0.0, 2.0)
    shown = [(name, tuple(moved_mesh(T, m) for m in meshes)) for name, meshes in rows]
    view = side_view(np.concatenate([m.vertices for _, meshes in shown for m in meshes]), T,
                     np.array([0.0, 1.0, 0.0]))
    panels = []
    for name, meshes in shown:
        colours = tuple(PART_COLOURS[k % len(PART_COLOURS)] for k in range(len(meshes)))
        panels.append((name, render(Scene(meshes, colours), view)))
    write_panels(panels, path, 'positions ' + ', '.join(f'{q:.3f}' for q in state))


# evaluate


def _add_evaluate(commands: Any) -> None:
    command = _command(
        commands, 'evaluate', _evaluate, 'measure pose, joint and shape errors on test views',
        '  kinediff3d evaluate --category laptop --count 200 --json laptop.json\n'
        '  kinediff3d evaluate --category laptop --objects ~/objects --count 64 --pictures worst\n'
        '  kinediff3d evaluate --category all --count 50 --preset paper --no-mesh\n'
        '  kinediff3d evaluate --category laptop --peer regression --json peer_regression.json')
    command.add_argument('--category', default='all', metavar='C',
                         help='a category, or all that have weights (default)')
    source = command.add_mutually_exclusive_group()
    source.add_argument('--source', metavar='procedural|DIR',
                        help='held-out procedural objects (default), or a folder of URDF objects: '
                             'one folder an object, its category before the first "_"')
    source.add_argument('--objects', metavar='DIR', help='the same as --source DIR')
    command.add_argument('--count', type=_number(int, at_least=1), default=50, metavar='N',
                         help='samples a category (default 50), in turn over the objects')
    command.add_argument('--seed', type=_number(int, at_least=0), default=0)
    command.add_argument('--rounds', type=_number(int, at_least=1), metavar='N',
                         help='rounds of optimisation, instead of the preset\'s')
    command.add_argument('--peer', choices=PEERS,
                         help='score another way to answer, with the same networks: regression '
                              '(no samples, no descent), asdf (test-time optimisation of the '
                              'code, the true pose given), score (mean of 50 samples)')
    command.add_argument('--json', type=Path, metavar='F',
                         help='write the summary here, and how it was made beside it')
    command.add_argument('--records', type=Path, metavar='F',
                         help='write the metrics of every sample here, one JSON line each')
    command.add_argument('--no-mesh', action='store_true',
                         help='skip meshes and Chamfer distances')
    command.add_argument('--pictures', type=Path, metavar='DIR',
                         help='draw the three worst estimates beside the truth, and keep their '
                              'depth images')
    _add_model(command)


def _evaluate(options: argparse.Namespace) -> int:
    source = options.objects or options.source or 'procedural'
    for path in (options.json, options.records, options.pictures):
        if path is not None and path.exists() and path.is_dir() != (path == options.pictures):
            raise ValueError(f'{path} is {"a folder" if path.is_dir() else "not a folder"}')
    if options.peer is not None and options.rounds is not None:
        raise ValueError('--rounds is of our own method; --peer has none')
    names = _categories(options.category, source, options.weights)
    from dataclasses import replace

    from tqdm import tqdm

    from kinediff3d_core.evaluation import evaluate as E
    from kinediff3d_core.evaluation.benchmark import machine
    from kinediff3d_core.evaluation.peers import PEERS as METHODS
    from kinediff3d_core.pipeline import Pipeline

    method = E.ours if options.peer is None else METHODS[options.peer]

    summaries: dict[str, E.Summary] = {}
    records: list[E.Record] = []
    for name in names:
        samples = E.procedural_samples(name, options.seed, shapes=not options.no_mesh) \
            if source == 'procedural' else \
            E.object_samples(source, name, options.seed, shapes=not options.no_mesh)
        pipeline = Pipeline.load(name, preset=options.preset, device=options.device,
                                 weights=options.weights)
        if options.rounds is not None:
            pipeline.preset = replace(pipeline.preset, rounds=options.rounds)
        pictures = options.pictures
        with tqdm(total=options.count, desc=name, unit='view', disable=None) as bar:
            found = E.evaluate(pipeline, samples, options.count, options.seed,
                               lambda n, bar=bar: bar.update(n - bar.n),  # type: ignore[misc]
                               pictures if pictures is None or len(names) == 1
                               else pictures / name, method=method)
        records += found
        summaries[name] = E.summary_of(found)
        print(E.table(name, summaries[name]))
    if options.json is not None:
        E.write_summaries(options.json, summaries)
        E.write_origin(options.json, {
            'command': options.command, 'source': source, 'count': options.count,
            'seed': options.seed, 'preset': options.preset, 'rounds': options.rounds,
            'peer': options.peer, **machine(options.device)})
    if options.records is not None:
        E.write_records(options.records, records)
    return DONE


def _categories(category: str, source: str, weights: Path | None) -> list[str]:
    """The categories to evaluate; ``all`` is those with weights, of a folder those in it."""
    from kinediff3d_core.categories import get_category
    from kinediff3d_core.weights import trained_categories

    if category != 'all':
        return [get_category(category).name]
    trained = trained_categories(weights)
    if source == 'procedural':
        return trained
    from kinediff3d_core.data.objects import category_of, list_objects

    there = {category_of(folder) for folder in list_objects(source)}
    if not there & set(trained):
        raise ValueError(f'{source} has {", ".join(sorted(there))}; categories with weights: '
                         f'{", ".join(trained)}')
    return [name for name in trained if name in there]


# benchmark


def _add_benchmark(commands: Any) -> None:
    command = _command(
        commands, 'benchmark', _benchmark,
        'time every stage of both presets on the same views, with their accuracy',
        '  kinediff3d benchmark --category laptop --json benchmark.json\n'
        '  kinediff3d benchmark --presets fast --count 50 --device cuda')
    command.add_argument('--category', default='laptop', metavar='C', help='default: laptop')
    command.add_argument('--presets', nargs='+', choices=PRESETS, default=list(PRESETS))
    command.add_argument('--count', type=_number(int, at_least=1), default=5, metavar='N',
                         help='views (default 5; the paper preset is slow on a CPU)')
    command.add_argument('--seed', type=_number(int, at_least=0), default=0)
    command.add_argument('--no-mesh', action='store_true',
                         help='skip meshes and Chamfer distances')
    command.add_argument('--json', type=Path, metavar='F', help='write the result here')
    _add_model(command, preset=False)


def _benchmark(options: argparse.Namespace) -> int:
    from kinediff3d_core.categories import get_category

    get_category(options.category)
    from tqdm import tqdm

    from kinediff3d_core.evaluation.benchmark import benchmark, table
    from kinediff3d_core.urdf import write_text

    presets = list(dict.fromkeys(options.presets))
    with tqdm(total=options.count * len(presets), unit='view', disable=None) as bar:
        def progress(preset: str, done: int) -> None:
            bar.set_description(preset)
            bar.update()

        result = benchmark(options.category, presets, options.count, options.seed,
                           options.device, not options.no_mesh,
                           options.weights, progress)
    print(table(result))
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1, allow_nan=False) + '\n')
    return DONE


# train


def _add_train(commands: Any) -> None:
    command = _command(
        commands, 'train', _train,
        'train the networks of a category on procedural objects or on your own',
        '  kinediff3d train all --category laptop --out runs --seconds 1200\n'
        '  kinediff3d train pose --category laptop --out runs --resume --device cuda\n'
        '  kinediff3d train all --data data --out runs\n'
        '  torchrun --nproc-per-node 2 -m kinediff3d_core.cli train all --category laptop')
    command.add_argument('stage', choices=(*STAGES, 'all'),
                         help='shape (KA-VAE), pose (score model), latent (diffusion, needs '
                              'shape)')
    command.add_argument('--category', metavar='C',
                         help='one that ships, or all; not needed with --data')
    command.add_argument('--data', type=Path, metavar='DIR',
                         help='train on what "kinediff3d import" wrote there')
    command.add_argument('--procedural', type=_number(float, at_least=0), default=0.0,
                         metavar='SHARE', help='with --data: share of procedural objects among '
                                               'them, 0 to 1 (default 0)')
    command.add_argument('--steps', type=_number(int, at_least=1), metavar='N',
                         help='a stage; default: the stage\'s own number')
    command.add_argument('--seconds', type=_number(float, above=0), metavar='S',
                         help='largest wall time a stage; the learning rate follows the clock')
    command.add_argument('--batch', type=_number(int, at_least=1), metavar='N',
                         help='samples a step (default: the stage\'s own, sized for a CPU)')
    command.add_argument('--refresh', type=_number(int, at_least=0), metavar='N',
                         help='new objects every ten steps (default: the stage\'s own, sized '
                              'for a CPU)')
    command.add_argument('--lr', type=_number(float, above=0), metavar='R',
                         help='peak learning rate (default: the stage\'s own; less of it keeps '
                              'more of what --start brings)')
    command.add_argument('--seed', type=_number(int, at_least=0), default=0)
    command.add_argument('--device', default='cpu', help='cpu (default), cuda or cuda:N')
    command.add_argument('--out', type=Path, default=Path('runs'), metavar='DIR',
                         help='weights go to DIR/<category> (default runs)')
    command.add_argument('--start', metavar='DIR',
                         help='weights to start from, "shipped" for those that come with this '
                              'package (default: random ones)')
    command.add_argument('--resume', action='store_true',
                         help='go on from the checkpoint in --out, if there is one')


def _train(options: argparse.Namespace) -> int:
    from kinediff3d_core.categories import CATEGORIES, get_category
    from kinediff3d_core.category_file import FILE_NAME, add_category, read_category
    from kinediff3d_core.training.ranks import first_rank

    if options.data is not None:
        own = add_category(read_category(options.data / FILE_NAME)).name
        if options.category not in (None, own):
            raise ValueError(f'--data {options.data} is of category {own!r}, not '
                             f'{options.category!r}')
        options.category = own
    if options.category is None:
        raise ValueError('give --category, or --data with objects of your own')
    if options.procedural and (options.data is None or options.procedural > 1):
        raise ValueError('--procedural is a share from 0 to 1 and goes with --data')
    every = options.category == 'all'
    names = list(CATEGORIES) if every else [get_category(options.category).name]
    stages = STAGES if options.stage == 'all' else (options.stage,)
    if not options.resume:
        for name in names:
            for stage in stages:
                checkpoint = options.out / name / f'{stage}.checkpoint'
                if checkpoint.exists():
                    raise ValueError(f'{checkpoint} is there already: add --resume to go on, or '
                                     'choose another --out')
    from kinediff3d_core.training.run import train
    from kinediff3d_core.weights import SHIPPED

    start = SHIPPED if options.start == 'shipped' else options.start and Path(options.start)
    train(stages, names, options.out, steps=options.steps, seed=options.seed,
          device=options.device, seconds=options.seconds, batch=options.batch,
          refresh=options.refresh, data=options.data, procedural=options.procedural,
          start=start, lr=options.lr)
    if not first_rank():
        return DONE
    print(f'weights are in {", ".join(str(options.out / name) for name in names)}; use them with '
          f'--weights {options.out}')
    return DONE


if __name__ == '__main__':
    sys.exit(main())
