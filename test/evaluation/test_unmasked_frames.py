"""Real frames without masks: what is right, what misleads, the table, and one frame from files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from estimates import laptop_estimate
from PIL import Image

from kinediff3d_core.evaluation import unmasked_frames
from kinediff3d_core.evaluation.unmasked_frames import FrameAnswer, main, report

RIGHT = FrameAnswer('a', 'laptop', False, 0.0, 0.8, 0.8, 3, 2, (1.0,), 0.9, True)
WRONG = replace(RIGHT, frame='b', chosen_iou=0.2, joints=(40.0,), right=False)
REFUSED = replace(RIGHT, frame='c', chosen_iou=0.0, confidence=0.2, right=False)
MASKED = replace(WRONG, frame='d', masked=True, best_iou=math.nan, confidence=0.6)


def test_the_report_counts_right_refused_and_misleading_answers() -> None:
    text = report([RIGHT, WRONG, REFUSED, MASKED], built_in=['c'])
    assert '2 frames whose object stands free: mean IoU first 0.00, chosen 0.50, best 0.80' in text
    assert 'without masks: 1 of 3 right, 1 refused' in text
    assert 'above 0.5: 2 of 4 answers' in text
    assert '| c |  | 0.00 | 0.00 | 0.80 | 2 of 3 | 1.0 | 0.20 | refused |' in text
    assert '0 of 1 answers' in report([replace(WRONG, confidence=0.5)])


SMALL, LARGE = slice(30, 50), slice(70, 110)
"""Rows of two blocks on a table; the larger one is segmentation's first."""


def write_frame(folder: Path, angle: float) -> None:
    """A frame of a table that is seen from above, whose object is the smaller block."""
    folder.mkdir()
    depth = np.full((120, 160), 1000, np.uint16)
    depth[SMALL, 60:90] = 900
    depth[LARGE, 50:110] = 900
    mask = np.zeros(depth.shape, np.uint8)
    mask[SMALL, 60:90] = 255
    Image.fromarray(depth).save(folder / 'depth.png')
    Image.fromarray(mask).save(folder / 'mask.png')
    (folder / 'camera_info.yaml').write_text(
        'image_width: 160\nimage_height: 120\ncamera_matrix:\n  rows: 3\n  cols: 3\n'
        '  data: [150.0, 0.0, 79.5, 0.0, 150.0, 59.5, 0.0, 0.0, 1.0]\n')
    (folder / 'truth.json').write_text(json.dumps(
        {'category': 'laptop', 'joints': [angle], 'unit': 'deg'}))


class SizePipeline:
    """Is sure about small things alone."""

    category = SimpleNamespace(name='laptop')

    def infer(self, cloud, mesh):
        return replace(laptop_estimate(), confidence=0.2 if len(cloud) > 1000 else 0.8)


@pytest.mark.parametrize('right', [True, False])
def test_a_frame_from_files(tmp_path: Path, monkeypatch, capsys, right: bool) -> None:
    angle = math.degrees(laptop_estimate().joints[0].position)
    write_frame(tmp_path / 'desk', angle + (3.0 if right else 30.0))
    monkeypatch.setattr(unmasked_frames.Pipeline, 'load', lambda category: SizePipeline())
    assert main(['--frames', str(tmp_path), '--json', str(tmp_path / 'r.json'),
                 '--with-masks']) == 0
    unmasked, masked = json.loads((tmp_path / 'r.json').read_text())
    assert unmasked['first_iou'] == 0 and unmasked['chosen_iou'] > 0.8
    assert (unmasked['candidates'], unmasked['tried']) == (2, 2)
    assert unmasked['joints'] == pytest.approx([3.0 if right else 30.0])
    assert masked['best_iou'] is None and masked['confidence'] == 0.8
    assert unmasked['right'] is masked['right'] is right
    assert f'above 0.5: {0 if right else 2} of 2' in capsys.readouterr().out


def test_a_folder_without_such_frames_is_one_error(tmp_path: Path, capsys) -> None:
    write_frame(tmp_path / 'desk', 90.0)
    assert main(['--frames', str(tmp_path), '--categories', 'box']) == 2
    assert 'has no frame of box' in capsys.readouterr().err
