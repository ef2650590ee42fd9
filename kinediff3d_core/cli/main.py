"""The ``kinediff3d`` command.

Each command is one file beside this one. Commands that need ROS come from ``kinediff3d_ros``,
through the entry-point group ``kinediff3d.commands``. Torch and the networks are imported by the
commands that need them, so that ``--help`` and errors in arguments are fast. Exit status:
0 done, 1 no estimate, 2 unusable input, 130 interrupted, 141 the reader of the output has gone.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from kinediff3d_core.cli import benchmark, evaluate, generate, import_objects, infer, train
from kinediff3d_core.cli.arguments import (
    INTERRUPTED,
    NO_ANSWER,
    UNUSABLE,
    Parser,
)
from kinediff3d_core.distributed.identity import package_version
from kinediff3d_core.distributed.threads import set_threads
from kinediff3d_core.io.console import until_pipe_closes

ENTRY_POINTS = 'kinediff3d.commands'
"""Group of the functions that add further commands. Each has its command's name."""
ROS_COMMANDS = ('demo', 'replay', 'view')
"""Commands that ``kinediff3d_ros`` adds, in the order of the help text."""

MAX_REASON = 275
"""Longest reason of an error, characters: 300 with what is before it. Chosen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else [str(a) for a in arguments]
    return until_pipe_closes(lambda: _run(given))


def _run(given: Sequence[str]) -> int:
    """Run one command; its errors are one line."""
    options = parser().parse_args(given)
    options.command = shlex.join(['kinediff3d', *given])
    set_threads(getattr(options, 'threads', None))
    # Not before the arguments are parsed: --help needs none of numpy.
    from kinediff3d_core.io.files import shortened
    from kinediff3d_core.objects.estimate import NoEstimate

    try:
        if getattr(options, 'weights', None) is not None:
            from kinediff3d_core.objects.category_file import add_own_categories

            add_own_categories(options.weights)
        return int(options.run(options))
    except NoEstimate as refusal:
        print(f'kinediff3d: no estimate: {shortened(refusal, MAX_REASON)}', file=sys.stderr)
        return NO_ANSWER
    except BrokenPipeError:
        raise
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'kinediff3d: error: {shortened(error, MAX_REASON)}', file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt as stop:
        said = f': {stop}' if str(stop) else ''
        print(f'kinediff3d: interrupted{said}', file=sys.stderr)
        return INTERRUPTED


def parser() -> Parser:
    """All commands and their arguments."""
    top = Parser(prog='kinediff3d', description='Articulated objects from one depth image: part '
                 'poses, joint state, meshes and URDF.', epilog='Every command has --help.')
    top.add_argument('--version', action=_Version, nargs=0, help='print the version and exit')
    commands = top.add_subparsers(title='commands', metavar='COMMAND', required=True,
                                  parser_class=Parser)
    for module in (infer, generate, evaluate, benchmark, train, import_objects):
        module.add_parser(commands)
    further = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    for name in dict.fromkeys((*ROS_COMMANDS, *sorted(further))):
        try:
            further[name].load()(commands)
        except (KeyError, ImportError) as error:
            _add_missing(commands, name, error)
    return top


class _Version(argparse.Action):
    """Prints the version; the distribution is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f'kinediff3d {package_version()}')
        parser.exit()


def _add_missing(commands: Any, name: str, reason: Exception) -> None:
    """Add a command whose package is missing; it ends with what to install."""
    def refuse(_: argparse.Namespace) -> int:
        found = 'is not installed' if isinstance(reason, KeyError) else \
            f'cannot be imported ({reason})'
        raise ValueError(f'{name!r} needs the package kinediff3d_ros, which {found}; source a '
                         'ROS 2 workspace that has it, or run "make venv"')

    # No argument starts with this prefix, so that all options of the missing command are accepted.
    command = commands.add_parser(name, help='needs the package kinediff3d_ros', add_help=False,
                                  prefix_chars='\0')
    command.add_argument('rest', nargs='*')
    command.set_defaults(run=refuse)
