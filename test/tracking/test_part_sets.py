"""The set of parts that a track has, against the posterior of all full estimates."""

import math
from types import SimpleNamespace

import pytest

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.tracking.part_sets import index_of_set, log_ratio


def estimate(*parts):
    return SimpleNamespace(parts=[SimpleNamespace(name=p) for p in ('base', *parts)])


def test_sets_have_their_place_in_the_category():
    drawer, cabinet = get_category('drawer'), get_category('cabinet')
    assert index_of_set(drawer, estimate('drawer_0', 'drawer_1', 'drawer_2')) == 2
    assert index_of_set(cabinet, estimate('door_right')) == 2
    assert index_of_set(get_category('laptop'), estimate('lid')) == 0
    with pytest.raises(ValueError):
        index_of_set(drawer, estimate('drawer_1'))


def test_the_ratio_of_two_sets():
    assert log_ratio((0.2, 0.6, 0.2), 1, 0) == pytest.approx(math.log(3))
    assert log_ratio((0.2, 0.8), 1, 1) == log_ratio((), 1, 0) == 0.0
