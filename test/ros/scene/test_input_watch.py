"""Reactions to input that is missing, refused or has stopped."""

from __future__ import annotations

import pytest

from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.input_watch import InputStatus, check_input
from kinediff3d_ros.scene.parameters import PerceptionParameters


class Recorder:
    """Host and scene that record their calls."""

    def __init__(self, state: str) -> None:
        self.health = Health(state, 'before')
        self.parameters = PerceptionParameters(lost_after=2.0)
        self.calls: list[tuple[str, ...]] = []

    def log(self, state: str, message: str) -> None:
        self.calls.append(('log', state, message))

    def withdraw_all(self, state: str, message: str) -> None:
        self.calls.append(('all', state, message))

    def remove_absent(self) -> None:
        self.calls.append(('absent',))


@pytest.mark.parametrize(('state', 'silence', 'stopped', 'problem', 'expected'), [
    ('waiting', 0.0, False, None, []),
    ('waiting', 9.0, True, 'no message', [('log', 'waiting', 'no message')]),
    ('waiting', 0.1, False, 'no mask', [('log', 'waiting', 'no mask')]),
    ('stale', 9.0, True, 'no message', []),
    ('stale', 0.1, False, None, []),
    ('stale', 0.1, False, 'no mask', [('all', 'waiting', 'no mask')]),
    ('estimate', 0.1, False, None, [('absent',)]),
    ('estimate', 2.0, False, None, [('absent',)]),
    ('estimate', 2.1, True, 'no message', [('all', 'stale', 'no more messages on /depth')]),
    ('no_estimate', 0.1, False, 'no mask', [('all', 'waiting', 'no mask')]),
    ('estimate', 1.5, True, 'no message', [('absent',)]),
])
def test_reactions(state: str, silence: float, stopped: bool, problem: str | None,
                   expected: list) -> None:
    recorder = Recorder(state)
    check_input(recorder, recorder, InputStatus('/depth', silence, stopped, problem))
    assert recorder.calls == expected
    logged = state == 'waiting' and problem
    assert recorder.health.message == (problem if logged else 'before')
