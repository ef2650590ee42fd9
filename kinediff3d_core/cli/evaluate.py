"""The command ``evaluate``: errors on test views."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinediff3d_core.cli.arguments import DONE, METRICS, PEERS, add_command, number

if TYPE_CHECKING:
    from kinediff3d_core.distributed.ranks import Ranks
    from kinediff3d_core.evaluation.records import Record
    from kinediff3d_core.evaluation.summary import Summary

EXAMPLES = '''
  kinediff3d evaluate --category laptop --count 200 --json laptop.json
  kinediff3d evaluate --category laptop --objects ~/objects --count 64 --pictures worst
  kinediff3d evaluate --category all --count 50 --preset paper --no-mesh
  kinediff3d evaluate --category laptop --peer regression --json peer_regression.json
  kinediff3d evaluate --category laptop --count 50 --no-mesh --metrics omad
  torchrun --nproc-per-node 8 -m kinediff3d_core.cli evaluate --device cuda --json all.json
'''

NOT_IN_RECORDS = ('run', 'command', 'category', 'count', 'json', 'records', 'pictures', 'objects')
"""Options on which the record of a sample does not depend, or which :func:`_run` replaces."""


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'evaluate', _evaluate,
                          'measure errors of pose, joints and shape on test views', EXAMPLES)
    command.add_argument('--category', default='all', metavar='C',
                         help='a category, or all that have weights (default)')
    source = command.add_mutually_exclusive_group()
    source.add_argument('--source', metavar='procedural|DIR',
                        help='held-out procedural objects (default), or a folder of URDF objects: '
                             'one folder an object, its category before the first "_"')
    source.add_argument('--objects', metavar='DIR', help='the same as --source DIR')
    command.add_view_arguments(50, 'samples a category (default 50); of a folder, one object '
                                    'after the other')
    command.add_argument('--rounds', type=number(int, at_least=1), metavar='N',
                         help='rounds of iterative optimisation (default: the preset\'s)')
    command.add_argument('--peer', choices=PEERS,
                         help='score a baseline with the same networks instead: regression (no '
                              'samples, no refinement), asdf (test-time optimisation of the '
                              'code, the true pose given), score (mean of 50 samples), ancsh '
                              '(part-centric, no meshes)')
    command.add_argument('--metrics', choices=METRICS,
                         help='add the metrics of another paper: omad (ArtImage) or ancsh '
                              '(Shape2Motion), for each part and joint')
    command.add_argument('--json', type=Path, metavar='F',
                         help='write the summary here, and the command and machine beside it; '
                              'the same command continues a run that was interrupted')
    command.add_argument('--records', type=Path, metavar='F',
                         help='write the metrics of every sample here, one JSON line each')
    command.add_argument('--pictures', type=Path, metavar='DIR',
                         help='draw the three worst estimates beside the truth, and write their '
                              'depth images')
    command.add_model_arguments()


def _evaluate(options: argparse.Namespace) -> int:
    source = options.objects or options.source or 'procedural'
    _check(options)
    names = _categories(options.category, source, options.weights)
    import torch

    from kinediff3d_core.distributed.journal import remove_journal
    from kinediff3d_core.distributed.ranks import sharing
    from kinediff3d_core.evaluation.records import summary_of, table

    records: list[Record] = []
    summaries: dict[str, Summary] = {}
    with sharing(torch.device(options.device)) as ranks:
        for name in names:
            pictures = options.pictures
            if pictures is not None and len(names) > 1:
                pictures = pictures / name
            scored = _score(options, name, source, pictures, ranks)
            records += scored
            summaries[name] = summary_of(scored)
            if ranks.first:
                print(table(name, summaries[name]))
        ranks.wait()  # All processes have closed their files of records.
        if ranks.first:
            _write(options, source, records, summaries)
            journal = _journal_folder(options)
            if journal is not None:
                remove_journal(journal)
    return DONE


def _check(options: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written and options that exclude each other."""
    for path in (options.json, options.records, options.pictures):
        if path is not None and path.exists() and path.is_dir() != (path == options.pictures):
            raise ValueError(f'{path} is {"a folder" if path.is_dir() else "not a folder"}')
    if options.peer is not None and options.rounds is not None:
        raise ValueError('--rounds belongs to the pipeline\'s own method; --peer has none')


def _score(options: argparse.Namespace, name: str, source: str, pictures: Path | None,
           ranks: Ranks) -> list[Record]:
    """The records of one category, of all ranks."""
    from contextlib import nullcontext
    from dataclasses import replace

    from tqdm import tqdm

    from kinediff3d_core.distributed.journal import Journal
    from kinediff3d_core.evaluation.baselines import baseline
    from kinediff3d_core.evaluation.evaluate import EvaluationConfig, evaluate, infer
    from kinediff3d_core.evaluation.published_metrics import PROTOCOLS
    from kinediff3d_core.evaluation.samples import object_samples, procedural_samples
    from kinediff3d_core.inference.pipeline import Pipeline

    shapes = not options.no_mesh
    samples = procedural_samples(name, options.seed, shapes) if source == 'procedural' else \
        object_samples(source, name, options.seed, shapes)
    pipeline = Pipeline.load(name, preset=options.preset, device=str(ranks.device),
                             weights=options.weights)
    if options.rounds is not None:
        pipeline.preset = replace(pipeline.preset, rounds=options.rounds)
    method = infer if options.peer is None else baseline(options.peer, pipeline, options.weights)
    config = EvaluationConfig(
        options.count, options.seed, method=method, pictures=pictures,
        protocol=None if options.metrics is None else PROTOCOLS[options.metrics])
    folder = _journal_folder(options)
    with (nullcontext() if folder is None else
          Journal(folder, name, _run(options, name, source), ranks.rank) as journal,
          tqdm(total=len(ranks.share(range(config.count))), desc=name, unit='view',
               disable=None if ranks.first else True) as bar):
        return evaluate(pipeline, samples, config, ranks, journal,
                        lambda done: bar.update(done - bar.n))


def _journal_folder(options: argparse.Namespace) -> Path | None:
    """Folder of the records of a run that is not finished; None where no file is asked for."""
    result: Path | None = options.records or options.json
    return result and result.with_name(f'{result.name}.unfinished')


def _run(options: argparse.Namespace, name: str, source: str) -> dict[str, Any]:
    """Everything that the records of a category depend on. Their number does not matter."""
    from kinediff3d_core.data.mesh_objects import list_objects
    from kinediff3d_core.distributed.identity import package_version
    from kinediff3d_core.networks.checkpoints import weights_digest

    given = {k: v for k, v in vars(options).items() if k not in NOT_IN_RECORDS}
    if source != 'procedural':
        given['objects'] = [f.name for f in list_objects(source, name)]
    return {**given, 'source': source, 'weights': weights_digest(name, options.weights),
            'version': package_version()}


def _write(options: argparse.Namespace, source: str, records: Sequence[Record],
           summaries: Mapping[str, Summary]) -> None:
    """Write the files that --json and --records ask for."""
    from kinediff3d_core.evaluation.benchmark import machine
    from kinediff3d_core.evaluation.records import write_origin, write_records, write_summaries

    if options.json is not None:
        write_summaries(options.json, summaries)
        write_origin(options.json, {
            'command': options.command, 'source': source, 'count': options.count,
            'seed': options.seed, 'preset': options.preset, 'rounds': options.rounds,
            'peer': options.peer, 'metrics': options.metrics, **machine(options.device)})
    if options.records is not None:
        write_records(options.records, records)


def _categories(category: str, source: str, weights: Path | None) -> list[str]:
    """The categories to evaluate; ``all`` means those with weights that the source has."""
    from kinediff3d_core.networks.checkpoints import trained_categories
    from kinediff3d_core.objects.category import get_category

    if category != 'all':
        return [get_category(category).name]
    trained = trained_categories(weights)
    if source == 'procedural':
        return trained
    from kinediff3d_core.data.mesh_objects import category_of, list_objects

    found = {category_of(folder) for folder in list_objects(source)}
    if not found & set(trained):
        raise ValueError(f'{source} has {", ".join(sorted(found))}; categories with weights: '
                         f'{", ".join(trained)}')
    return [name for name in trained if name in found]
