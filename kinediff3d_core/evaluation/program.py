"""What the programs ``python -m kinediff3d_core.evaluation.<name>`` share: errors of one line."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from kinediff3d_core.distributed.threads import set_threads
from kinediff3d_core.io.console import until_pipe_closes
from kinediff3d_core.io.outputs import require_writable

UNUSABLE = 2
"""Exit status for unusable input."""


class Parser(argparse.ArgumentParser):
    """Arguments of a program of this folder; a bad one ends it with one line.

    Args:
        name: of the program's module.
    """

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=f'python -m kinediff3d_core.evaluation.{name}',
                         description=description)
        self.name = name

    def error(self, message: str) -> NoReturn:
        """Print the message in one line and exit with status 2."""
        self.exit(UNUSABLE, f'{self.name}: error: {message} (see --help)\n')


def run(parser: Parser, work: Callable[[argparse.Namespace], None],
        arguments: Sequence[str] | None = None) -> int:
    """Parse arguments and do the work; returns the exit status.

    The options also have the whole command line, as ``command``.

    A ValueError or OSError of the work is printed in one line.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser.parse_args(given)
    options.command = shlex.join(['python', '-m', f'kinediff3d_core.evaluation.{parser.name}',
                                  *map(str, given)])
    set_threads()
    return until_pipe_closes(lambda: _run(parser.name, work, options))


def _run(name: str, work: Callable[[argparse.Namespace], None],
         options: argparse.Namespace) -> int:
    try:
        require_writable(getattr(options, 'json', None))
        work(options)
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        print(f'{name}: error: {" ".join(str(error).split())}', file=sys.stderr)
        return UNUSABLE
    return 0
