"""Masks that are changed as segmenters and detectors change them, and the table of errors."""

from __future__ import annotations

import math

import numpy as np

from kinediff3d_core.evaluation.mask_changes import (
    CHANGES,
    GROWN,
    bounding_box,
    grown,
    main,
    table,
)


def test_masks_are_grown_to_all_sides_and_within_the_image() -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[30:33, 2:6] = True
    rows, columns = np.nonzero(grown(mask))
    assert (rows.min(), rows.max()) == (30 - GROWN, 32 + GROWN)
    assert (columns.min(), columns.max()) == (0, 5 + GROWN)
    assert grown(mask).sum() == (3 + 2 * GROWN) * (4 + 2 + GROWN)


def test_a_bounding_box_is_the_smallest_rectangle() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    assert not bounding_box(mask).any()
    mask[4, 7] = mask[9, 5] = True
    expected = np.zeros_like(mask)
    expected[4:10, 5:8] = True
    np.testing.assert_array_equal(bounding_box(mask), expected)


def test_the_table_leaves_out_frames_without_an_estimate() -> None:
    first = {(change, cleaned): 2.0 for change in CHANGES for cleaned in (False, True)}
    second = {key: 4.0 for key in first}
    second['as drawn', False] = math.nan
    rows = [line.strip('| ').split(' | ') for line in table([first, second]).splitlines()[2:]]
    assert [row[0] for row in rows] == list(CHANGES)
    assert rows[0][1:] == ['2.0', '2.0', '3.0', '4.0']
    assert rows[1][1:] == ['3.0', '4.0', '3.0', '4.0']


def test_a_folder_without_frames_is_one_line(tmp_path, capsys) -> None:
    assert main(['--frames', str(tmp_path)]) == 2
    assert capsys.readouterr().err.count('\n') == 1
