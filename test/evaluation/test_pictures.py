"""Pictures for the README: they are written and show what their captions name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from kinediff3d_core.evaluation import pictures
from kinediff3d_core.evaluation.pictures import draw_gallery, draw_latent_pictures, position_text
from kinediff3d_core.evaluation.records import Record, write_records
from kinediff3d_core.evaluation.sheet import CELL


def colours(picture: np.ndarray) -> tuple[bool, bool]:
    """Whether an image has anything blue, as bases are, and anything orange, as lids are."""
    red, green, blue = (picture[..., i].astype(int) for i in range(3))
    orange = (red - blue > 80) & (red - green > 40)  # the points' yellow is not
    return bool((blue - red > 40).sum() > 300), bool(orange.sum() > 300)


def test_gallery_shows_points_estimate_and_truth(tmp_path: Path) -> None:
    page = np.asarray(Image.open(draw_gallery(tmp_path / 'g.png', ['laptop'])).convert('RGB'))
    cells = [page[30:30 + CELL[1] - 8, 4 + i * (CELL[0] + 4):][:, :CELL[0]] for i in range(3)]
    assert [colours(cell) for cell in cells[1:]] == [(True, True)] * 2
    assert not colours(cells[0])[1] and (cells[0].min(-1) < 200).sum() > 300
    assert not (cells[1] == cells[2]).all()


def test_worst_views_are_those_with_the_largest_errors(tmp_path: Path, monkeypatch) -> None:
    drawn = []

    def draw_view(pipeline, index, seed, title):
        drawn.append((pipeline.category.name, index, title))
        return [(title, np.zeros((CELL[1], CELL[0], 3), np.uint8))]

    monkeypatch.setattr(pictures, 'draw_view', draw_view)
    errors = (1.0, 9.0, None, 30.0)
    write_records(tmp_path / 'r.jsonl', [
        Record(i, '', None if e is None else {'rot_err_deg': e}, '', 0.3, 'cutter')
        for i, e in enumerate(errors)])
    page = pictures.draw_worst(tmp_path / 'r.jsonl', tmp_path / 'w.png', count=2)
    assert drawn == [('cutter', 3, 'view 3: 30.0° off'), ('cutter', 1, 'view 1: 9.0° off')]
    assert Image.open(page).size[1] > CELL[1]


def test_one_code_in_many_states_and_between_two(tmp_path: Path) -> None:
    states, way = draw_latent_pictures('laptop', tmp_path, panels=2)
    for path in (states, way):
        assert colours(np.asarray(Image.open(path).convert('RGB'))) == (True, True)
    assert states != way


def test_positions_in_words() -> None:
    assert position_text([('revolute', np.pi / 4), ('prismatic', 0.012)]) == '45.0°, 12 mm'
