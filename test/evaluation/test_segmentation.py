"""Overlaps of known images, and the program on scenes and frames."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.evaluation import segmentation
from kinediff3d_core.evaluation.segmentation import (
    frame_summary,
    main,
    measure_frame,
    measure_scene,
    overlaps,
    scene_summary,
)
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.observation.instances import InstanceConfig

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)


def test_overlaps_are_intersections_over_unions() -> None:
    truth = np.array([[1, 1, 2, 2], [1, 1, 0, 0]])
    found = np.array([[2, 2, 1, 0], [2, 0, 0, 3]])
    np.testing.assert_allclose(overlaps(truth, found), [[0, 3 / 4, 0], [1 / 2, 0, 0]])
    assert overlaps(truth, np.zeros_like(found)).shape == (2, 0)


def squares() -> tuple[np.ndarray, np.ndarray]:
    """Three squares in front of nothing: depth and ids."""
    ids = np.zeros((240, 320), dtype=np.int64)
    for k, u in enumerate((40, 140, 240), start=1):
        ids[100:140, u:u + 40] = k
    return (ids > 0).astype(np.float32), ids


def test_a_scene_counts_what_is_found_missed_and_false() -> None:
    """Of two objects that count, one has another shape; a third is hardly visible."""
    depth, ids = squares()
    ids[100:140, 60:80] = 0  # Half of the first object: an overlap of one half is not enough.
    view = SimpleNamespace(depth=depth, ids=np.where(ids == 3, 4, ids), intrinsics=CAMERA,
                           categories=('box', 'cutter', 'laptop'), visible=(1.0, 0.9, 0.1))
    record = measure_scene(view, InstanceConfig())  # type: ignore[arg-type]
    assert record['objects'] == [['box', 0.5], ['cutter', 1.0]]
    assert record['clutter'] == [1.0]
    assert (record['candidates'], record['false']) == (3, 1)
    summary = scene_summary([record, record])
    assert summary['objects'] == 4 and summary['objects_found'] == 0.5
    assert summary['false_a_scene'] == 1 and summary['clutter_found'] == 1


def test_the_chosen_candidate_is_the_first_one() -> None:
    depth, ids = squares()
    frame = segmentation.Frame('f', depth, ids == 3, CAMERA)
    record = measure_frame(frame, InstanceConfig())
    assert (record['chosen'], record['best'], record['candidates']) == (0.0, 1.0, 3)
    assert frame_summary([record])['found'] == 1
    nothing = measure_frame(segmentation.Frame('f', 0 * depth, ids == 3, CAMERA),
                            InstanceConfig())
    assert (nothing['chosen'], nothing['best'], nothing['candidates']) == (0.0, 0.0, 0)


def test_the_program_reads_frames_and_writes_results(tmp_path, capsys) -> None:
    folder = tmp_path / 'frames' / 'first'
    folder.mkdir(parents=True)
    depth, ids = squares()
    Image.fromarray((1000 * depth).astype(np.uint16)).save(folder / 'depth.png')
    Image.fromarray((255 * (ids == 2)).astype(np.uint8)).save(folder / 'mask.png')
    (folder / 'camera_info.yaml').write_text('{fx: 300, fy: 300, cx: 159.5, cy: 119.5}')
    (tmp_path / 'frames' / 'notes').mkdir()
    out = tmp_path / 'out.json'
    assert main(['--scenes', '1', '--frames', str(tmp_path / 'frames'), '--json', str(out)]) == 0
    printed = capsys.readouterr().out
    assert '| first | 1.00 | 1.00 | 3 |' in printed and 'false candidates a scene' in printed
    results = json.loads(out.read_text())
    assert results['frames']['summary']['chosen_iou'] == 1
    assert results['scenes']['seed'] == 0 and len(results['scenes']['records']) == 1


def test_a_folder_without_frames_is_refused(tmp_path, capsys) -> None:
    assert main(['--scenes', '0', '--frames', str(tmp_path)]) == 2
    assert 'no folder with depth.png' in capsys.readouterr().err


@pytest.mark.parametrize('share', [0.4, 0.6])
def test_overlaps_above_one_half_are_found(share: float) -> None:
    record = {'objects': [['box', share]], 'clutter': [], 'false': 0, 'seconds': 0.01}
    assert scene_summary([record])['objects_found'] == (share > 0.5)
