"""What became of the frames of a recording, and why some have no estimate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kinediff3d_core.io.files import shortened
from kinediff3d_ros.tools.replay_frames import ReplayResult

KINDS = ('full', 'tracked', 'none')
MAX_REASON = 120
"""Longest reason in the last line, characters. Chosen."""
_NUMBER = re.compile(r'\d+(\.\d+)?')


@dataclass(frozen=True)
class ReplayOutcome:
    """What became of the frames of a recording.

    Attributes:
        frames: number of frames by kind.
        reason: the most frequent one among the frames without an estimate.
        with_reason: number of these frames.
        unused: what became of messages that are in no frame, in words.
        warnings: what is missing of the recording or of the results.
    """

    frames: dict[str, int]
    reason: str = ''
    with_reason: int = 0
    unused: str = ''
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'warnings', tuple(self.warnings))  # a list where JSON was read

    def __str__(self) -> str:
        """Numbers of frames by kind, and the reasons."""
        text = (f'{sum(self.frames.values())} frames: {self.frames["full"]} full estimates, '
                f'{self.frames["tracked"]} tracked, {self.frames["none"]} without an estimate')
        if self.reason:
            all_of_them = self.with_reason == self.frames['none']
            share = '' if all_of_them else f'{self.with_reason} times: '
            text += f' ({share}{shortened(self.reason, MAX_REASON)})'
        return text + (f'; {shortened(self.unused, MAX_REASON)}' if self.unused else '')


def outcome_of(results: Sequence[ReplayResult], unused: str = '', warnings: Sequence[str] = (),
               ) -> ReplayOutcome:
    """What became of the frames; reasons that differ in their numbers alone count as one."""
    found = Counter(r.kind for r in results)
    reasons = [r.reason for r in results if r.kind == 'none']
    kinds = Counter(_NUMBER.sub('0', reason) for reason in reasons)
    kind, number = kinds.most_common(1)[0] if kinds else ('', 0)
    reason = next((r for r in reasons if _NUMBER.sub('0', r) == kind), '')
    return ReplayOutcome({k: found[k] for k in KINDS}, reason, number, unused, tuple(warnings))
