"""The command ``benchmark``: seconds and memory of every stage."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kinediff3d_core.cli.arguments import DONE, PRESETS, add_command

EXAMPLES = '''
  kinediff3d benchmark --category laptop --json benchmark.json
  kinediff3d benchmark --presets fast --count 50 --device cuda
'''


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'benchmark', _benchmark,
                          'measure time and accuracy of both presets on the same test views',
                          EXAMPLES)
    command.add_argument('--category', default='laptop', metavar='C', help='default: laptop')
    command.add_argument('--presets', nargs='+', choices=PRESETS, default=list(PRESETS),
                         help='default: all')
    command.add_view_arguments(5, 'views (default 5; the paper preset is slow on a CPU)')
    command.add_argument('--json', type=Path, metavar='F', help='write the result here')
    command.add_model_arguments(preset=False)


def _benchmark(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.outputs import require_writable
    from kinediff3d_core.objects.category import get_category

    get_category(options.category)
    require_writable(options.json)
    from kinediff3d_core.simulation.families import require_family

    require_family(options.category)
    from tqdm import tqdm

    from kinediff3d_core.evaluation.benchmark import BenchmarkConfig, benchmark, table
    from kinediff3d_core.io.files import write_text

    presets = list(dict.fromkeys(options.presets))
    with tqdm(total=options.count * len(presets), unit='view', disable=None) as bar:
        def progress(preset: str, done: int) -> None:
            bar.set_description(preset)
            bar.update()

        result = benchmark(BenchmarkConfig(
            options.category, presets, options.count, options.seed, options.device,
            not options.no_mesh, options.weights), progress)
    print(table(result))
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1, allow_nan=False) + '\n')
    return DONE
