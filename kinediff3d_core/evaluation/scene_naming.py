"""How many objects in simulated clutter are found and named rightly, without masks.

    python -m kinediff3d_core.evaluation.scene_naming --scenes 200 --records DIR --json F

Every candidate of the segmentation (:mod:`kinediff3d_core.evaluation.segmentation`) gets a full
estimate with ``category: auto``, which names it or refuses it. The records of each scene are kept:
a run that was killed continues when the same command runs again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.distributed.identity import package_version
from kinediff3d_core.distributed.journal import Journal
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.segmentation import (
    FOUND,
    LEAST_VISIBLE,
    Records,
    overlaps,
    segmented,
)
from kinediff3d_core.inference.auto import AutoPipeline
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import weights_digest
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import object_cloud
from kinediff3d_core.observation.segmentation import CONFIG
from kinediff3d_core.simulation.tabletop import SceneView, scene_view

JOURNAL = 'scenes'
"""Name of the records' files."""


def named_scene(pipeline: AutoPipeline, view: SceneView) -> dict[str, Any]:
    """What is named in a scene.

    ``objects`` has the category, the best IoU and the candidate of it (from 0 on) of each object
    that counts. ``candidates`` has the name (None if it is refused), the confidence and the best
    IoU with any object of ours, also one that does not count.
    """
    ids, _ = segmented(view.depth, view.intrinsics, CONFIG)
    truth = np.where(view.depth > 0, view.ids, 0)
    iou = overlaps(truth, ids)
    count = len(view.categories)
    ours = np.zeros((count, iou.shape[1]))
    ours[:min(count, len(iou))] = iou[:count]
    candidates = []
    for k in range(iou.shape[1]):
        name, confidence = _name(pipeline, view, ids == k + 1)
        candidates.append([name, confidence, float(ours[:, k].max(initial=0.0))])
    return {'objects': [[name, float(ours[i].max(initial=0.0)),
                         int(ours[i].argmax()) if ours.shape[1] else -1]
                        for i, name in enumerate(view.categories)
                        if view.visible[i] >= LEAST_VISIBLE],
            'candidates': candidates}


def _name(pipeline: AutoPipeline, view: SceneView, mask: np.ndarray) -> tuple[str | None, float]:
    """The category of a candidate (H, W) bool and the estimate's confidence."""
    try:
        estimate = pipeline.infer(object_cloud(view.depth, view.intrinsics, mask), mesh=False)
    except NoEstimate:
        return None, 0.0
    return estimate.category, float(estimate.confidence)


def summary(records: Records, least: float) -> dict[str, float]:
    """Shares and numbers a scene, with candidates below the least confidence refused.

    ``named`` is the share of the objects that are found by a candidate with their name, ``found``
    that of a candidate with any name or none. ``false_a_scene`` counts candidates with a name that
    overlap no object of ours, ``wrong_a_scene`` those that overlap one of another name.
    """
    objects = [(name, r['candidates'][k] if iou > FOUND else None)
               for r in records for name, iou, k in r['objects']]
    named = [(name, c) for name, c in objects if c is not None and _accepted(c, least)]
    right = sum(name == c[0] for name, c in named)
    false = sum(c[2] <= FOUND and _accepted(c, least) for r in records for c in r['candidates'])
    total, scenes = max(1, len(objects)), max(1, len(records))
    return {'scenes': len(records), 'objects': len(objects),
            'found': sum(c is not None for _, c in objects) / total, 'named': right / total,
            'wrong_a_scene': (len(named) - right) / scenes, 'false_a_scene': false / scenes}


def _accepted(candidate: Sequence[Any], least: float) -> bool:
    return candidate[0] is not None and candidate[1] >= least


def table(records: Records, thresholds: Sequence[float]) -> str:
    """One row a least confidence."""
    rows = []
    for least in thresholds:
        s = summary(records, least)
        rows.append([f'{least:g}', str(s['objects']), f'{s["found"]:.1%}', f'{s["named"]:.1%}',
                     f'{s["wrong_a_scene"]:.2f}', f'{s["false_a_scene"]:.2f}'])
    return markdown_table(['least confidence', 'objects', 'found', 'found and named rightly',
                           'named wrongly a scene', 'false ones a scene'], rows)


def category_table(records: Records, least: float) -> str:
    """One row a category at one least confidence."""
    names = sorted({name for r in records for name, _, _ in r['objects']})
    rows = []
    for name in names:
        mine = [{**r, 'objects': [o for o in r['objects'] if o[0] == name]} for r in records]
        s = summary(mine, least)
        rows.append([name, str(s['objects']), f'{s["found"]:.0%}', f'{s["named"]:.0%}'])
    return markdown_table(['category', 'objects', 'found', 'found and named rightly'], rows)


def measure(options: argparse.Namespace) -> None:
    """Name all scenes, or those that have no record yet, and print the tables."""
    pipeline = AutoPipeline.load(weights=options.weights)
    described = {'seed': options.seed, 'version': package_version(), 'weights': {
        name: weights_digest(name, options.weights) for name in pipeline.pipelines}}
    with Journal(options.records, JOURNAL, described) as journal:
        for index in tqdm(range(options.scenes), unit='scene', disable=None):
            if index not in journal.entries:
                journal.append(index, named_scene(pipeline, scene_view(options.seed, index)))
        records = [journal.entries[i] for i in range(options.scenes)]
    print(table(records, options.min_confidence))
    print(category_table(records, options.min_confidence[0]))
    if options.json is not None:
        write_text(options.json, json.dumps({
            'seed': options.seed, 'records': records,
            'summary': {f'{c:g}': summary(records, c) for c in options.min_confidence},
        }, indent=1) + '\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('scene_naming', 'Objects found and named in simulated clutter.')
    parser.add_argument('--scenes', type=int, default=200, metavar='N',
                        help='simulated scenes (default 200)')
    parser.add_argument('--seed', type=int, default=0, help='of the scenes')
    parser.add_argument('--records', type=Path, required=True, metavar='DIR',
                        help='folder of the records of finished scenes')
    parser.add_argument('--weights', type=Path, metavar='DIR',
                        help='one folder a category (default: those that ship)')
    parser.add_argument('--min-confidence', type=float, nargs='+', default=[0.0, 0.3, 0.5],
                        metavar='C', help='confidences below which candidates are refused; one '
                        'row each, and the first one a category (default 0 0.3 0.5)')
    parser.add_argument('--json', type=Path, metavar='F', help='results')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
