"""Joints of still objects over a sequence: boxes that are read, deviations, the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.evaluation import box_sequence
from kinediff3d_core.evaluation.box_sequence import (
    ViewResult,
    deviations,
    main,
    read_boxes,
    report,
)
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.estimate import NoEstimate

CAMERA = Intrinsics(30.0, 30.0, 19.5, 14.5, 40, 30)


def result(number: int, joints: tuple[float, ...] | None, confidence: float = 0.9) -> ViewResult:
    return ViewResult('f', number, 'box', joints, confidence, 0.5, '' if joints else 'too far')


def test_deviations_are_from_the_median_of_the_object() -> None:
    results = [result(1, (10.0,)), result(1, (12.0,)), result(2, (90.0,)), result(1, (40.0,)),
               result(1, None), result(1, (1.0, 2.0))]
    np.testing.assert_allclose(deviations(results), [2, 0, 0, 28, np.inf, np.inf])
    assert np.isinf(deviations([result(3, None)])).all()


def test_the_report_counts_views_near_the_median_and_confident_ones_far_from_it() -> None:
    results = [*3 * [result(1, (10.0,))], result(1, (31.0,), 0.6), result(1, (50.0,), 0.4),
               result(2, (1.0,)), result(2, None, 0.0)]
    text = report(results)
    assert 'object 1: 60% of 5 views within 10 of the median; 1 off by more than 20 with' in text
    assert 'object 2: 50% of 2 views within 10 of the median; 0 off' in text
    assert 'too far' in text


def write_boxes(folder: Path, boxes: object) -> Path:
    path = folder / 'boxes.json'
    path.write_text(json.dumps(boxes))
    return path


@pytest.mark.parametrize('boxes', [
    {}, [], [{'frame': '0'}], [{'frame': 0, 'object': 1, 'category': 'box',
                               'bbox_xyxy': [5, 5, 5, 9]}]])
def test_other_files_are_refused_by_name(tmp_path: Path, boxes: object) -> None:
    with pytest.raises(ValueError, match=r'boxes\.json'):
        read_boxes(write_boxes(tmp_path, boxes))


class ConstantPipeline:
    """Refuses every cloud."""

    calls = 0

    @classmethod
    def load(cls, category: str) -> ConstantPipeline:
        return cls()

    def infer(self, cloud: object, mesh: bool) -> object:
        self.calls += 1
        raise NoEstimate(f'{len(cloud)} points, call {self.calls}')


def test_the_program_estimates_every_box(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_sequence, 'Pipeline', ConstantPipeline)
    (tmp_path / 'depth').mkdir()
    Image.fromarray(np.full((30, 40), 1000, np.uint16)).save(tmp_path / 'depth' / '7.png')
    (tmp_path / 'camera_info.yaml').write_text(
        'width: 40\nheight: 30\nk: [30.0, 0.0, 19.5, 0.0, 30.0, 14.5, 0.0, 0.0, 1.0]\n')
    write_boxes(tmp_path, [{'frame': '7', 'object': k, 'category': 'box',
                            'bbox_xyxy': [2, 2, 12, 12]} for k in (1, 2)])
    assert main(['--sequence', str(tmp_path), '--json', str(tmp_path / 'r.json')]) == 0
    printed = capsys.readouterr().out
    assert '100 points, call 1' in printed and '100 points, call 2' in printed
    assert [r['object'] for r in json.loads((tmp_path / 'r.json').read_text())] == [1, 2]


def test_a_missing_sequence_ends_in_one_line(tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--sequence', str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith('box_sequence: error: ')
