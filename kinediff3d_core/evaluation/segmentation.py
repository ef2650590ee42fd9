"""How well objects are found without a mask, on simulated scenes and on real frames.

    python -m kinediff3d_core.evaluation.segmentation --scenes 100 --frames DIR --json F

A scene has several objects and clutter (:mod:`kinediff3d_core.simulation.tabletop`). An object or
a piece of clutter is found if a candidate overlaps it with an intersection over union (IoU) above
one half; a candidate that overlaps nothing so well is false. A folder of frames has one folder a
frame with ``depth.png``, ``camera_info.yaml`` and the ``mask.png`` of one object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.camera_info import read_camera_info
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.io.files import write_text
from kinediff3d_core.io.mask import read_mask
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.instances import InstanceConfig
from kinediff3d_core.observation.segmentation import CONFIG, segment_instances
from kinediff3d_core.simulation.tabletop import SceneView, scene_view

Array = np.ndarray[Any, Any]
Records = list[dict[str, Any]]
"""One dictionary a scene or frame."""

FOUND = 0.5
"""IoU from which on an object is found, as in the detection benchmarks of COCO."""
LEAST_VISIBLE = 0.5
"""Objects are counted if at least this share of their silhouette is in the image with depth.
Chosen."""


@dataclass(frozen=True)
class Frame:
    """A depth image with the mask of one object.

    Attributes:
        name: of its folder. depth: (H, W) m. mask: (H, W) bool.
    """

    name: str
    depth: Array
    mask: Array
    intrinsics: Intrinsics


def read_frames(root: Path) -> list[Frame]:
    """The frames of a folder; folders without a mask are left out.

    Raises:
        ValueError: no frame, or an unreadable one.
    """
    frames = []
    for folder in sorted(p.parent for p in root.glob('*/mask.png')):
        depth = read_depth(folder / 'depth.png')
        intrinsics = read_camera_info(folder / 'camera_info.yaml', (depth.shape[1],
                                                                    depth.shape[0]))
        frames.append(Frame(folder.name, depth, read_mask(folder / 'mask.png'), intrinsics))
    if not frames:
        raise ValueError(f'{root} holds no folder with depth.png, camera_info.yaml and mask.png')
    return frames


def overlaps(truth: Array, found: Array) -> Array:
    """IoU (n, m) of the ids 1 to n of a truth image (H, W) and 1 to m of found ids (H, W)."""
    joint = np.zeros((int(truth.max()) + 1, int(found.max()) + 1), dtype=np.int64)
    np.add.at(joint, (truth.ravel(), found.ravel()), 1)
    union = joint.sum(1)[:, None] + joint.sum(0) - joint
    return np.asarray((joint / np.maximum(union, 1))[1:, 1:])


def measure_scene(view: SceneView, config: InstanceConfig) -> dict[str, Any]:
    """What is found of a scene's objects and clutter, how many candidates are false, and seconds.

    ``objects`` has the category and the best IoU of each object that counts, ``clutter`` the best
    IoU of each piece of clutter.
    """
    ids, seconds = segmented(view.depth, view.intrinsics, config)
    truth = np.where(view.depth > 0, view.ids, 0)
    iou = overlaps(truth, ids)
    best = iou.max(1, initial=0.0)
    count = len(view.categories)
    return {
        'objects': [[name, float(best[k]) if k < len(best) else 0.0]
                    for k, name in enumerate(view.categories)
                    if view.visible[k] >= LEAST_VISIBLE],
        'clutter': [float(x) for k, x in enumerate(best) if k >= count and (truth == k + 1).any()],
        'candidates': iou.shape[1],
        'false': int((iou.max(0, initial=0.0) <= FOUND).sum()),
        'seconds': seconds,
    }


def measure_frame(frame: Frame, config: InstanceConfig) -> dict[str, Any]:
    """IoU of the first candidate and of the best one with the frame's mask, and seconds."""
    ids, seconds = segmented(frame.depth, frame.intrinsics, config)
    iou = overlaps((frame.mask & (frame.depth > 0)).astype(np.int64), ids)
    iou = iou[0] if len(iou) else np.zeros(iou.shape[1])
    return {'name': frame.name, 'chosen': float(iou[0]) if len(iou) else 0.0,
            'best': float(iou.max(initial=0.0)), 'candidates': len(iou), 'seconds': seconds}


def segmented(depth: Array, intrinsics: Intrinsics, config: InstanceConfig,
              ) -> tuple[Array, float]:
    """Ids (H, W) of the candidates, and the processor's time, s."""
    begin = time.process_time()
    try:
        ids = segment_instances(depth, intrinsics, config).ids
    except NoEstimate:
        ids = np.zeros(depth.shape, dtype=np.int64)
    return np.where(depth > 0, ids, 0), time.process_time() - begin


def scenes(seed: int, count: int) -> Iterator[SceneView]:
    """The first scenes of a seed."""
    return (scene_view(seed, i) for i in range(count))


def scene_summary(records: Records) -> dict[str, float]:
    """Shares found, mean IoU, false candidates a scene, and milliseconds at the median."""
    objects = np.array([iou for r in records for _, iou in r['objects']])
    clutter = np.array([iou for r in records for iou in r['clutter']])
    return {
        'objects': len(objects),
        'objects_found': _share(objects > FOUND), 'objects_iou': _share(objects),
        'clutter_found': _share(clutter > FOUND),
        'false_a_scene': _share(np.array([r['false'] for r in records])),
        'ms': 1000 * float(np.median([r['seconds'] for r in records])),
    }


def frame_summary(records: Records) -> dict[str, float]:
    """Mean IoU of the chosen and of the best candidate, share found, median milliseconds."""
    best = np.array([r['best'] for r in records])
    return {'chosen_iou': _share(np.array([r['chosen'] for r in records])),
            'best_iou': _share(best), 'found': _share(best > FOUND),
            'ms': 1000 * float(np.median([r['seconds'] for r in records]))}


def _share(values: Array) -> float:
    return float(values.mean()) if len(values) else float('nan')


def _scene_table(records: Records) -> str:
    """One row a category, and one for all."""
    names = sorted({name for r in records for name, _ in r['objects']})
    rows = []
    for name in names:
        iou = np.array([x for r in records for n, x in r['objects'] if n == name])
        rows.append([name, str(len(iou)), f'{100 * _share(iou > FOUND):.0f} %',
                     f'{_share(iou):.2f}'])
    total = scene_summary(records)
    rows.append(['all', str(total['objects']), f'{100 * total["objects_found"]:.1f} %',
                 f'{total["objects_iou"]:.2f}'])
    return markdown_table(['category', 'objects', 'found', 'IoU of the best candidate'], rows)


def _measure(options: argparse.Namespace) -> None:
    results: dict[str, Any] = {}
    if options.frames is not None:
        frames = [measure_frame(f, CONFIG) for f in read_frames(options.frames)]
        results['frames'] = {'summary': frame_summary(frames), 'records': frames}
        print(markdown_table(
            ['frame', 'IoU of the chosen one', 'IoU of the best one', 'candidates', 'ms'],
            [[r['name'], f'{r["chosen"]:.2f}', f'{r["best"]:.2f}', str(r['candidates']),
              f'{1000 * r["seconds"]:.0f}'] for r in frames]))
        s = results['frames']['summary']
        print(f'mean IoU: chosen {s["chosen_iou"]:.2f}, best {s["best_iou"]:.2f}; found '
              f'{100 * s["found"]:.0f} %; {s["ms"]:.0f} ms a frame\n')
    if options.scenes:
        views = tqdm(scenes(options.seed, options.scenes), total=options.scenes, unit='scene',
                     disable=None)
        records = [measure_scene(view, CONFIG) for view in views]
        s = scene_summary(records)
        results['scenes'] = {'seed': options.seed, 'summary': s, 'records': records}
        print(_scene_table(records))
        print(f'clutter found {100 * s["clutter_found"]:.0f} %; false candidates a scene '
              f'{s["false_a_scene"]:.2f}; {s["ms"]:.0f} ms a frame')
    if options.json is not None:
        write_text(options.json, json.dumps(results, indent=1) + '\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('segmentation', 'How well objects are found without a mask.')
    parser.add_argument('--scenes', type=int, default=100, metavar='N',
                        help='simulated scenes (default 100; 0 for none)')
    parser.add_argument('--seed', type=int, default=0, help='of the scenes')
    parser.add_argument('--frames', type=Path, metavar='DIR',
                        help='folder with one folder a frame: depth.png, camera_info.yaml, '
                             'mask.png')
    parser.add_argument('--json', type=Path, metavar='F', help='results')
    return run(parser, _measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
