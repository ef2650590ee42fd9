"""The command ``evaluate``: errors on test views."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass
from kinediff3d_core.cli.arguments import DONE, PEERS, add_command, add_model_arguments, number


def add_parser(commands: Any) -> None:
    command = add_command(
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
    command.add_argument('--count', type=number(int, at_least=1), default=50, metavar='N',
                         help='samples a category (default 50), in turn over the objects')
    command.add_argument('--seed', type=number(int, at_least=0), default=0)
    command.add_argument('--rounds', type=number(int, at_least=1), metavar='N',
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
    add_model_arguments(command)


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
    from kinediff3d_core.evaluation.baselines import PEERS as METHODS
    from kinediff3d_core.evaluation.benchmark import machine
    from kinediff3d_core.inference.pipeline import Pipeline

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
    from kinediff3d_core.networks.checkpoints import trained_categories
    from kinediff3d_core.objects.category import get_category

    if category != 'all':
        return [get_category(category).name]
    trained = trained_categories(weights)
    if source == 'procedural':
        return trained
    from kinediff3d_core.data.mesh_objects import category_of, list_objects

    there = {category_of(folder) for folder in list_objects(source)}
    if not there & set(trained):
        raise ValueError(f'{source} has {", ".join(sorted(there))}; categories with weights: '
                         f'{", ".join(trained)}')
    return [name for name in trained if name in there]
