"""Arguments and exit statuses that the commands share."""

from __future__ import annotations

import argparse
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

DONE, NO_ANSWER, UNUSABLE = 0, 1, 2
PRESETS = ('fast', 'paper')
PEERS = ('regression', 'asdf', 'score')
STAGES = ('shape', 'pose', 'latent')


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, as for every other bad input."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f'kinediff3d: error: {message} (see {self.prog} --help)\n')


def add_command(commands: Any, name: str, run: Any, text: str, examples: str) -> Parser:
    """Add a command with a help text and examples of its use; ``run`` returns its exit status."""
    command: Parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + '.',
        epilog='examples:\n' + examples, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run)
    return command


def add_model_arguments(command: Parser, preset: bool = True) -> None:
    """Add the options that choose the networks and where they run."""
    if preset:
        command.add_argument('--preset', choices=PRESETS, default='fast',
                             help='fast (default), or paper: the paper\'s samplers and gradient '
                                  'descent')
    command.add_argument('--device', default='cpu', help='cpu (default), cuda or cuda:N')
    command.add_argument('--weights', type=Path, metavar='DIR',
                         help='folder with the networks; default: the shipped ones')


def number(kind: type, at_least: float | None = None, above: float | None = None) -> Any:
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
        return value

    return read
