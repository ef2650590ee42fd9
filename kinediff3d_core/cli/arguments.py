"""Arguments and exit statuses that the commands share."""

from __future__ import annotations

import argparse
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from kinediff3d_core.inference.presets import ConfidenceConfig
from kinediff3d_core.objects.suggestion import did_you_mean

DONE, NO_ANSWER, UNUSABLE = 0, 1, 2
INTERRUPTED = 130
"""As a shell reports SIGINT."""
PRESETS = ('fast', 'paper')
PEERS = ('regression', 'asdf', 'score', 'ancsh')
METRICS = ('omad', 'ancsh')
STAGES = ('shape', 'pose', 'latent')
BASELINE_STAGES = ('parts',)

MOST_THREADS = 256
"""Most threads of ``--threads``, as of the perception node. Chosen: OpenMP ends a process that
cannot start its threads."""


class Parser(argparse.ArgumentParser):
    """An argument parser with errors of one line and the options that several commands have."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f'kinediff3d: error: {message} (see {self.prog} --help)\n')

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of the choices, with the choice that is like it."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(value, action.choices or ())
            raise

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; an unknown option ends with the option that is like it."""
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            parser = getattr(known, 'parser', self)
            names = [name for name in parser._option_string_actions if name.startswith('--')]
            parser.error(f'unrecognized arguments: {" ".join(rest)}'
                         f'{did_you_mean(rest[0].split("=")[0], names)}')
        return known

    def add_seed(self, purpose: str = 'of the random numbers') -> None:
        """Add ``--seed``; ``purpose`` says what is drawn from it."""
        self.add_argument('--seed', type=number(int, at_least=0), default=0,
                          help=f'{purpose} (default 0)')

    def add_view_arguments(self, count: int | None, views: str) -> None:
        """Add the options of commands that score test views.

        Args:
            count: default number of views.
            views: help text of ``--count``.
        """
        self.add_argument('--count', type=number(int, at_least=1), default=count, metavar='N',
                          help=views)
        self.add_seed('of the test views and the estimates')
        self.add_argument('--no-mesh', action='store_true',
                          help='skip meshes and Chamfer distances')

    def add_min_confidence(self) -> None:
        """Add ``--min-confidence``."""
        default = ConfidenceConfig().min_confidence
        self.add_argument('--min-confidence', type=number(float, at_least=0, at_most=1),
                          default=default, metavar='P',
                          help='a full estimate of a lower confidence is no estimate; 0 takes '
                               f'every one (default {default:g})')

    def add_device(self) -> None:
        """Add ``--device`` and ``--threads``."""
        self.add_argument('--device', default='cpu', help='cpu (default), cuda or cuda:N')
        self.add_threads()

    def add_threads(self) -> None:
        """Add ``--threads``."""
        self.add_argument('--threads', type=number(int, at_least=1, at_most=MOST_THREADS),
                          metavar='N',
                          help='CPU threads (default: OMP_NUM_THREADS, else half of the cores)')

    def add_model_arguments(self, preset: bool = True) -> None:
        """Add the options that choose the networks and where they run."""
        if preset:
            self.add_argument('--preset', choices=PRESETS, default='fast',
                              help='fast (default), or paper: the paper\'s samplers and '
                                   'gradient descent')
        self.add_device()
        self.add_argument('--weights', type=Path, metavar='DIR',
                          help='folder with the networks; default: the shipped ones')


def add_command(commands: Any, name: str, run: Any, text: str, examples: str) -> Parser:
    """Add a command.

    Args:
        run: function of the parsed options that returns the exit status.
        text: what the command does, for the help.
        examples: indented command lines.
    """
    command: Parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + '.',
        epilog='examples:\n' + examples.strip('\n'),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run, parser=command)
    return command


def number(kind: type, at_least: float | None = None, above: float | None = None,
           at_most: float | None = None) -> Any:
    """A reader of numbers within bounds, for the type of an argument."""
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
        if at_most is not None and value > at_most:
            raise argparse.ArgumentTypeError(f'{text} is more than {at_most:g}')
        return value

    return read
