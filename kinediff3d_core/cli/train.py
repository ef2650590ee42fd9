"""The command ``train``: networks of a category."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kinediff3d_core.cli.arguments import BASELINE_STAGES, DONE, STAGES, add_command, number

EXAMPLES = '''
  kinediff3d train all --category laptop --out runs --seconds 1200
  kinediff3d train pose --category laptop --out runs --resume --device cuda
  kinediff3d train all --data data --out runs
  kinediff3d train pose --category box --out runs --start shipped --without shadow grazing
  torchrun --nproc-per-node 2 -m kinediff3d_core.cli train all --category laptop
'''


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'train', _train,
                          'train the networks of a category on procedural objects or on your own',
                          EXAMPLES)
    command.add_argument('stage', choices=(*STAGES, *BASELINE_STAGES, 'all'),
                         help='shape (KA-VAE), pose (score model), latent (diffusion, needs '
                              'shape), all three, or parts (the head of the baseline ancsh, '
                              'needs pose)')
    command.add_argument('--category', metavar='C',
                         help='a category that comes with this package, or all; not needed with '
                              '--data')
    command.add_argument('--data', type=Path, metavar='DIR',
                         help='train on objects that "kinediff3d import" wrote there')
    command.add_argument('--procedural', type=number(float, at_least=0), default=0.0,
                         metavar='SHARE', help='with --data: share of procedural objects among '
                                               'them, 0 to 1 (default 0)')
    command.add_argument('--steps', type=number(int, at_least=1), metavar='N',
                         help='steps of each stage (default: the stage\'s own number)')
    command.add_argument('--seconds', type=number(float, above=0), metavar='S',
                         help='largest wall time of each stage; the learning rate follows the '
                              'clock')
    command.add_argument('--batch', type=number(int, at_least=1), metavar='N',
                         help='samples a step (default: the stage\'s own, sized for a CPU)')
    command.add_argument('--refresh', type=number(int, at_least=0), metavar='N',
                         help='new objects every ten steps (default: the stage\'s own, sized '
                              'for a CPU)')
    command.add_argument('--lr', type=number(float, above=0), metavar='R',
                         help='peak learning rate (default: the stage\'s own; a lower one stays '
                              'nearer to the weights of --start)')
    command.add_seed('of the initial weights and the data')
    command.add_device()
    command.add_argument('--out', type=Path, default=Path('runs'), metavar='DIR',
                         help='weights go to DIR/<category> (default runs)')
    command.add_argument('--start', metavar='DIR',
                         help='weights to start from, "shipped" for those that come with this '
                              'package; those of another category, as "shipped/dishwasher", as '
                              'far as sizes agree (default: random ones)')
    command.add_argument('--without', nargs='+', default=[], metavar='EFFECT',
                         help='effects of the real world that views shall not have, for ablations '
                              '(docs/training.md lists them)')
    command.add_argument('--resume', action='store_true',
                         help='continue from the checkpoint in --out, if there is one')


def _train(options: argparse.Namespace) -> int:
    from kinediff3d_core.distributed.ranks import first_rank
    from kinediff3d_core.io.outputs import require_writable

    names = _categories(options)
    require_writable(options.out, folder=True)
    stages = STAGES if options.stage == 'all' else (options.stage,)
    checkpoints = {name: [options.out / name / f'{stage}.checkpoint' for stage in stages]
                   for name in names}
    if not options.resume:
        _refuse_checkpoints([path for paths in checkpoints.values() for path in paths])
    elif first_rank():
        _note_new(options.out, checkpoints)
    from kinediff3d_core.training.config import TrainingConfig
    from kinediff3d_core.training.run import train
    from kinediff3d_core.training.warm_start import start_folder

    start = start_folder(options.start) if options.start else None
    train(stages, names, options.out, TrainingConfig(
        steps=options.steps, seconds=options.seconds, batch=options.batch,
        refresh=options.refresh, lr=options.lr, seed=options.seed, device=options.device,
        data=options.data, procedural=options.procedural, start=start,
        without=tuple(options.without)))
    if first_rank():
        print(f'weights are in {", ".join(str(options.out / name) for name in names)}; use them '
              f'with --weights {options.out}')
    return DONE


def _categories(options: argparse.Namespace) -> list[str]:
    """Names of the categories to train: that of --data, or those of --category."""
    from kinediff3d_core.objects.category import CATEGORIES, get_category
    from kinediff3d_core.objects.category_file import FILE_NAME, add_category, read_category

    category = options.category
    if options.data is not None:
        own = add_category(read_category(options.data / FILE_NAME)).name
        if category not in (None, own):
            raise ValueError(f'--data {options.data} is of category {own!r}, not {category!r}')
        category = own
    if category is None:
        raise ValueError('give --category, or --data with objects of your own')
    if options.procedural and (options.data is None or options.procedural > 1):
        raise ValueError('--procedural is a share from 0 to 1 and goes with --data')
    if category == 'all':
        return list(CATEGORIES)
    if options.data is None or options.procedural:
        from kinediff3d_core.simulation.families import require_family

        require_family(get_category(category).name)
    return [get_category(category).name]


def _note_new(out: Path, checkpoints: Mapping[str, Sequence[Path]]) -> None:
    """Say which categories have no checkpoint to resume: a folder may be mistyped.

    They start anew: a job that may be killed at any time is started with ``--resume`` at once.
    """
    for name, paths in checkpoints.items():
        if not any(path.exists() for path in paths):
            print(f'kinediff3d: note: there is no checkpoint in {out / name}; it starts anew',
                  file=sys.stderr)


def _refuse_checkpoints(paths: Sequence[Path]) -> None:
    """Raise a ValueError where one of the checkpoints exists."""
    for path in paths:
        if path.exists():
            raise ValueError(f'{path} exists already: add --resume to continue it, or choose '
                             'another --out')
