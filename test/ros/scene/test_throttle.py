"""How often a text is logged."""

from __future__ import annotations

import pytest

from kinediff3d_ros.scene import throttle as module
from kinediff3d_ros.scene.throttle import Throttle


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [5.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def test_only_the_same_text_is_held_back_for_a_period(clock: list[float]) -> None:
    throttle = Throttle(10.0)
    assert throttle.lets_through('a') and throttle.lets_through('b')
    clock[0] = 14.9
    assert not throttle.lets_through('a')
    clock[0] = 15.0
    assert throttle.lets_through('a') and not throttle.lets_through('a')


def test_the_oldest_text_is_forgotten_first(clock: list[float]) -> None:
    throttle = Throttle(10.0, remembered=2)
    for text in 'abc':
        assert throttle.lets_through(text)
    assert not throttle.lets_through('c') and not throttle.lets_through('b')
    assert throttle.lets_through('a')
