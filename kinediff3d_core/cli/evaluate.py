"""The command ``evaluate``: errors on test views."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinediff3d_core.cli.arguments import DONE, METRICS, PEERS, add_command, number

if TYPE_CHECKING:
    from kinediff3d_core.distributed.ranks import Ranks
    from kinediff3d_core.evaluation.records import Record
    from kinediff3d_core.evaluation.sources import Source
    from kinediff3d_core.evaluation.summary import Summary

EXAMPLES = '''
  kinediff3d evaluate --category laptop --count 200 --json laptop.json
  kinediff3d evaluate --category laptop --objects ~/objects --count 64 --pictures worst
  kinediff3d evaluate --category all --count 50 --preset paper --no-mesh
  kinediff3d evaluate --category laptop --peer regression --json peer_regression.json
  kinediff3d evaluate --dataset reartmix --root ~/reartmix --split test --no-mesh
  torchrun --nproc-per-node 8 -m kinediff3d_core.cli evaluate --device cuda --json all.json
  kinediff3d evaluate --category laptop --count 50 --no-mesh --metrics omad
'''

COUNT = 50
"""Samples a category, where the source does not limit them."""

NOT_IN_RECORDS = ('run', 'parser', 'command', 'category', 'count', 'json', 'records', 'pictures',
                  'objects', 'threads')
"""Options on which the record of a sample does not depend, or which :func:`_run` replaces."""


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'evaluate', _evaluate,
                          'measure errors of pose, joints and shape on test views', EXAMPLES)
    command.add_argument('--category', default='all', metavar='C',
                         help='a category, or all that have weights (default)')
    source = command.add_mutually_exclusive_group()
    source.add_argument('--source', metavar='procedural|realistic|cut-off|DIR',
                        help='held-out procedural objects (default); the same with surroundings, '
                             'errors of real sensors and of masks; the same partly outside the '
                             'picture; or a folder of URDF objects: '
                             'one folder an object, its category before the first "_"')
    source.add_argument('--objects', metavar='DIR', help='the same as --source DIR')
    source.add_argument('--dataset', metavar='NAME',
                        help='the views of a public data set, such as reartmix '
                             '(docs/datasets.md)')
    command.add_argument('--root', type=Path, metavar='DIR', help='folder of the data set')
    command.add_argument('--split', metavar='S',
                         help='split of the data set (default: the one for evaluation)')
    command.add_view_arguments(None, f'samples a category (default {COUNT}, of a data set all); '
                                     'of a folder, one object after the other')
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
    _check(options)
    try:
        return _score_all(options)
    except KeyboardInterrupt:
        journal = _journal_folder(options)
        kept = journal is not None and journal.is_dir()
        raise KeyboardInterrupt(f'finished views are in {journal}; the same command continues'
                                if kept else '') from None


def _score_all(options: argparse.Namespace) -> int:
    """Score all categories, print and write the summaries; returns the exit status."""
    source = _source(options)
    names = _categories(options.category, source, options.weights)
    import torch

    from kinediff3d_core.distributed.journal import remove_journal
    from kinediff3d_core.distributed.ranks import sharing
    from kinediff3d_core.evaluation.records import summary_of, table
    from kinediff3d_core.evaluation.skipped_views import scored

    records: list[Record] = []
    summaries: dict[str, Summary] = {}
    with sharing(torch.device(options.device)) as ranks:
        for name in names:
            pictures = options.pictures
            if pictures is not None and len(names) > 1:
                pictures = pictures / name
            found = _score(options, name, source, pictures, ranks)
            records += found
            summaries[name] = summary_of(scored(found))
            if ranks.first:
                print(table(name, summaries[name]))
        ranks.wait()  # All processes have closed their files of records.
        if ranks.first:
            _print_remarks(source, records)
            _write(options, source.name, scored(records), summaries)
            journal = _journal_folder(options)
            if journal is not None:
                remove_journal(journal)
    return DONE


def _check(options: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written and options that exclude each other."""
    from kinediff3d_core.io.outputs import require_writable

    require_writable(options.json)
    require_writable(options.records)
    require_writable(options.pictures, folder=True)
    if options.peer is not None and options.rounds is not None:
        raise ValueError('--rounds belongs to the pipeline\'s own method; --peer has none')
    if options.dataset is not None and options.root is None:
        raise ValueError('--dataset needs --root, the folder of the data set')
    if options.dataset is None and (options.root or options.split) is not None:
        raise ValueError('--root and --split belong to --dataset')


def _source(options: argparse.Namespace) -> Source:
    """Where the test views come from."""
    from kinediff3d_core.evaluation.sources import (
        cut_off_source,
        dataset_source,
        folder_source,
        procedural_source,
        realistic_source,
    )
    from kinediff3d_core.networks.checkpoints import trained_categories

    if options.dataset is not None:
        return dataset_source(options.dataset, options.root, options.split)
    where = options.objects or options.source or 'procedural'
    made = {'procedural': procedural_source, 'realistic': realistic_source,
            'cut-off': cut_off_source}
    if where in made:
        return made[where](tuple(trained_categories(options.weights)))
    return folder_source(where)


def _print_remarks(source: Source, records: Sequence[Record]) -> None:
    """Print what could not be scored, with its number, and what is inferred."""
    from kinediff3d_core.evaluation.skipped_views import remarks, scored

    lines = [f'left out: {line}' for line in source.left_out] + remarks(records)
    skipped = len(records) - len(scored(records))
    if skipped or source.left_out:
        lines.append(f'{len(records) - skipped} views scored, {skipped} skipped, '
                     f'{len(source.left_out)} left out')
    for line in lines:
        print(f'kinediff3d: {line}', file=sys.stderr)


def _score(options: argparse.Namespace, name: str, source: Source, pictures: Path | None,
           ranks: Ranks) -> list[Record]:
    """The records of one category, of all ranks."""
    from contextlib import nullcontext
    from dataclasses import replace

    from tqdm import tqdm

    from kinediff3d_core.distributed.journal import Journal
    from kinediff3d_core.evaluation.baselines import baseline
    from kinediff3d_core.evaluation.evaluate import EvaluationConfig, evaluate, infer
    from kinediff3d_core.evaluation.published_metrics import PROTOCOLS
    from kinediff3d_core.inference.pipeline import Pipeline

    samples = source.samples(name, options.seed, not options.no_mesh)
    pipeline = Pipeline.load(name, preset=options.preset, device=str(ranks.device),
                             weights=options.weights)
    if options.rounds is not None:
        pipeline.preset = replace(pipeline.preset, rounds=options.rounds)
    method = infer if options.peer is None else baseline(options.peer, pipeline, options.weights)
    config = EvaluationConfig(
        _count(options.count, source, name), options.seed, method=method, pictures=pictures,
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


def _count(wanted: int | None, source: Source, name: str) -> int:
    """Number of views of a category."""
    there = source.counts.get(name)
    if there is None:
        return COUNT if wanted is None else wanted
    return there if wanted is None else min(wanted, there)


def _run(options: argparse.Namespace, name: str, source: Source) -> dict[str, Any]:
    """Everything that the records of a category depend on. Their number does not matter."""
    from kinediff3d_core.distributed.identity import fingerprint, package_version
    from kinediff3d_core.networks.checkpoints import weights_digest

    given = {k: v for k, v in vars(options).items() if k not in NOT_IN_RECORDS}
    if name in source.counts:
        given['views'] = fingerprint(source.inputs[name])
    elif name in source.inputs:
        given['objects'] = list(source.inputs[name])
    return {**given, 'source': source.name, 'weights': weights_digest(name, options.weights),
            'version': package_version()}


def _write(options: argparse.Namespace, source: str, records: Sequence[Record],
           summaries: Mapping[str, Summary]) -> None:
    """Write the files that --json and --records ask for."""
    from kinediff3d_core.evaluation.benchmark import machine
    from kinediff3d_core.evaluation.records import write_origin, write_records, write_summaries

    if options.json is not None:
        write_summaries(options.json, summaries)
        write_origin(options.json, {
            'command': options.command, 'source': source,
            'count': COUNT if options.count is None and not options.dataset else options.count,
            'seed': options.seed, 'preset': options.preset, 'rounds': options.rounds,
            'peer': options.peer, 'metrics': options.metrics, **machine(options.device)})
    if options.records is not None:
        write_records(options.records, records)


def _categories(category: str, source: Source, weights: Path | None) -> list[str]:
    """The categories to evaluate; ``all`` means those with weights that the source has."""
    from kinediff3d_core.networks.checkpoints import trained_categories
    from kinediff3d_core.objects.category import get_category

    trained = trained_categories(weights)
    if category != 'all':
        name = get_category(category).name
        if source.counts and name not in source.categories:
            raise ValueError(f'{source.name} has {", ".join(source.categories)}, no {name}')
        return [name]
    found = [name for name in trained if name in source.categories]
    if not found:
        raise ValueError(f'{source.name} has {", ".join(source.categories)}; categories with '
                         f'weights: {", ".join(trained)}')
    return found
