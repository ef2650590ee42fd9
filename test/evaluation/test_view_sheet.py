"""Realistic views: held-out objects in surroundings, and the sheet of them."""

import numpy as np
import pytest
from frame_folders import write_frame_folder
from PIL import Image

from kinediff3d_core.evaluation.samples import LEAST_SEEN, UnusableView
from kinediff3d_core.evaluation.sources import cut_off_source, procedural_source, realistic_source
from kinediff3d_core.evaluation.view_sheet import OUTLINE, main, view_picture


def test_realistic_samples_repeat_themselves_and_show_enough_of_the_object():
    samples = realistic_source(('stapler',)).samples('stapler', 5, False)
    usable, with_surroundings = 0, 0
    for i in range(6):
        try:
            view = samples(i)
        except UnusableView as error:
            assert 'hidden' in str(error)
            continue
        usable += 1
        assert (view.mask & (view.depth > 0)).sum() >= LEAST_SEEN
        with_surroundings += bool(((view.depth > 0) & ~view.mask).sum() > 5000)
        if usable == 1:
            assert np.array_equal(samples(i).depth, view.depth)
    assert usable >= 4 and with_surroundings >= 3


def test_cut_off_views_are_those_of_the_protocol_without_one_side():
    whole, cut = (source(('drawer',)).samples('drawer', 3, False)
                  for source in (procedural_source, cut_off_source))
    shares = []
    for i in range(4):
        all_of_it, rest = whole(i), cut(i)
        np.testing.assert_array_equal(rest.truth.T_camera_part, all_of_it.truth.T_camera_part)
        np.testing.assert_array_equal(rest.truth.positions, all_of_it.truth.positions)
        shares.append((rest.mask & (rest.depth > 0)).sum() / all_of_it.mask.sum())
    assert 0.4 < min(shares) < 0.9 and max(shares) < 1.1  # noise is drawn anew


def test_a_picture_shows_near_bright_nothing_black_and_the_outline():
    depth, mask = np.full((60, 80), 2.0), np.zeros((60, 80), dtype=bool)
    depth[20:40, 30:50] = 1.0
    depth[:, :5] = 0.0
    mask[20:40, 30:50] = True
    picture = view_picture(depth, mask)
    assert (picture == OUTLINE).all(-1).any()
    middle, beside = picture[73, 98].astype(int), picture[73, 20].astype(int)
    assert middle[0] > beside[0] + 100


def test_the_sheet_has_views_and_frames(tmp_path, capsys):
    write_frame_folder(tmp_path / 'frames' / 'one', {})
    out = tmp_path / 'sheet.png'
    assert main(['--out', str(out), '--categories', 'box', '--count', '1', '--frames',
                 str(tmp_path / 'frames')]) == 0
    assert str(out) in capsys.readouterr().out
    assert Image.open(out).size[1] > 2 * 146


def test_unknown_categories_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(['--categories', 'chair'])
