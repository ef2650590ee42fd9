"""Which category ``auto`` takes held-out procedural objects for, and how sure it is.

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

from kinediff3d_core.evaluation.evaluate import procedural_samples
from kinediff3d_core.evaluation.results import markdown
from kinediff3d_core.inference.auto import AutoPipeline
from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.estimate import NoEstimate

NOTHING = 'no estimate'
Confusion = dict[str, dict[str, Any]]
"""``{true category: {'taken_for': {category: views}, 'sure': mean weight of what it was taken for,
'sure_when_wrong': the same of wrong ones or None}}``."""


def confusion(pipeline: AutoPipeline, count: int, seed: int = 0, quiet: bool = False) -> Confusion:
    """What ``count`` views of each loaded category are taken for."""
    out: Confusion = {}
    for truth in pipeline.pipelines:
        samples = procedural_samples(truth, seed, shapes=False)
        taken: Counter[str] = Counter()
        sure: list[float] = []
        sure_when_wrong: list[float] = []
        for i in tqdm(range(count), desc=truth, unit='view', disable=quiet or None):
            view = samples(i)
            try:
                estimate = pipeline.infer(depth=view.depth, intrinsics=view.intrinsics,
                                          mask=view.mask, mesh=False)
            except NoEstimate:
                taken[NOTHING] += 1
                continue
            taken[estimate.category] += 1
            sure.append(estimate.categories[estimate.category])
            if estimate.category != truth:
                sure_when_wrong.append(sure[-1])
        out[truth] = {'taken_for': dict(taken), 'sure': _mean(sure),
                      'sure_when_wrong': _mean(sure_when_wrong)}
    return out


def table(result: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a true category, as Markdown."""
    names = [*result, NOTHING]
    rows = []
    for truth, told in result.items():
        rows.append([truth, *(str(told['taken_for'].get(n, 0) or '·') for n in names),
                     *('–' if told[k] is None else f'{told[k]:.2f}'
                       for k in ('sure', 'sure_when_wrong'))])
    return markdown(['is \\ taken for', *names, 'weight', 'weight when wrong'], rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m kinediff3d_core.evaluation.confusion',
                                     description='What category auto takes objects for.')
    parser.add_argument('--count', type=int, default=20, help='views a category (default 20)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--weights', type=Path, metavar='DIR', help='one folder a category')
    parser.add_argument('--json', type=Path, metavar='F', help='write the counts here')
    options = parser.parse_args(arguments)
    try:
        if options.count < 1:
            raise ValueError(f'--count must be positive, got {options.count}')
        pipeline = AutoPipeline.load(device=options.device, weights=options.weights)
    except ValueError as error:
        print(f'confusion: error: {error}', file=sys.stderr)
        return 2
    result = confusion(pipeline, options.count, options.seed)
    print(table(result))
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
