"""Which category ``auto`` chooses for held-out procedural objects, and with what weight.

    python -m kinediff3d_core.evaluation.confusion --count 20 --json docs/results/auto.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kinediff3d_core.evaluation.benchmark import machine
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.records import write_origin
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.inference.auto import AutoPipeline
from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.estimate import NoEstimate

NOTHING = 'no estimate'
Confusion = dict[str, dict[str, Any]]
"""By true category: ``{'taken_for': {category: views}, 'sure': ..., 'sure_when_wrong': ...}``.

``sure`` is the mean weight of the chosen category, ``sure_when_wrong`` that of wrong choices; None
where there are none.
"""


def confusion(pipeline: AutoPipeline, count: int, seed: int = 0, quiet: bool = False) -> Confusion:
    """The categories chosen for ``count`` views of each loaded category."""
    out: Confusion = {}
    for truth in pipeline.pipelines:
        samples = procedural_samples(truth, seed, shapes=False)
        chosen: Counter[str] = Counter()
        weights: list[float] = []
        wrong_weights: list[float] = []
        for i in tqdm(range(count), desc=truth, unit='view', disable=quiet or None):
            view = samples(i)
            try:
                estimate = pipeline.infer(depth=view.depth, intrinsics=view.intrinsics,
                                          mask=view.mask, mesh=False)
            except NoEstimate:
                chosen[NOTHING] += 1
                continue
            chosen[estimate.category] += 1
            weights.append(estimate.categories[estimate.category])
            if estimate.category != truth:
                wrong_weights.append(weights[-1])
        out[truth] = {'taken_for': dict(chosen), 'sure': _mean(weights),
                      'sure_when_wrong': _mean(wrong_weights)}
    return out


def table(result: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a true category, as Markdown."""
    names = [*result, NOTHING]
    rows = []
    for truth, counts in result.items():
        rows.append([truth, *(str(counts['taken_for'].get(n, 0) or '·') for n in names),
                     *('–' if counts[k] is None else f'{counts[k]:.2f}'
                       for k in ('sure', 'sure_when_wrong'))])
    return markdown_table(['true \\ chosen', *names, 'weight', 'weight of wrong choices'], rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def measure(options: argparse.Namespace) -> None:
    """Count, print the table, and write the counts."""
    if options.count < 1:
        raise ValueError(f'--count must be positive, got {options.count}')
    pipeline = AutoPipeline.load(device=options.device, weights=options.weights)
    result = confusion(pipeline, options.count, options.seed)
    print(table(result))
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1) + '\n')
        write_origin(options.json, {'command': options.command, 'count': options.count,
                                    'seed': options.seed, **machine(options.device)})


def views(result: Mapping[str, Mapping[str, Any]]) -> list[int]:
    """The different numbers of views of a category, ascending."""
    return sorted({sum(counts['taken_for'].values()) for counts in result.values()})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('confusion', 'Which category auto chooses for objects of each category.')
    parser.add_argument('--count', type=int, default=20, help='views a category (default 20)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--weights', type=Path, metavar='DIR', help='one folder a category')
    parser.add_argument('--json', type=Path, metavar='F', help='write the counts here')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
