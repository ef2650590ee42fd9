"""Which views are drawn."""

from math import nan

from kinediff3d_core.evaluation.records import Record
from kinediff3d_core.evaluation.worst_views import worst_views


def test_views_without_a_rotation_error_are_no_worst_views():
    errors = {4: 2.0, 1: None, 2: nan, 7: 30.0, 3: 2.0}
    records = [Record(i, '', None if e is None else {'rot_err_deg': e}) for i, e in errors.items()]
    assert worst_views(records, 2) == [(1, 7), (2, 4)]
    assert worst_views(records, 9) == [(1, 7), (2, 4), (3, 3)]
