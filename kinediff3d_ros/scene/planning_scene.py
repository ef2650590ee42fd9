"""What a planner's world has of one object, and what to tell it: add, move, remove.

A planner keeps every part until it is told otherwise, and forgets nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.suggestion import did_you_mean
from kinediff3d_core.objects.urdf import link_name


class Operation(Enum):
    """What to do with a part in a planner's world."""

    ADD = 'add'
    """Add it, or replace it with all that belongs to it."""
    MOVE = 'move'
    REMOVE = 'remove'


@dataclass(frozen=True, eq=False)
class ScenePart:
    """One part as a planner's world has it.

    Attributes:
        frame_id: frame of the pose.
        T_frame_part: (4, 4) its pose there, m.
        corners: (8, 3) of its box, part frame, m.
        shape: what it looks like; equal only to itself.
    """

    frame_id: str
    T_frame_part: np.ndarray
    corners: np.ndarray
    shape: object


@dataclass(frozen=True)
class MoveLimits:
    """When a part is moved, and when all are added again.

    Attributes:
        period: least mean time between two moves, s.
        motion: displacement of a corner of the part's box that is not told, m.
        repeat: time after which all parts are added again, s.
    """

    period: float
    motion: float
    repeat: float


class PlannerWorld:
    """The parts of one object in the worlds of all planners that listen."""

    def __init__(self) -> None:
        self._told: dict[str, ScenePart] = {}
        self._listeners = 0
        self._move_due = self._repeat_due = -float('inf')

    def update(self, parts: Mapping[str, ScenePart], listeners: int, limits: MoveLimits,
               now: float) -> dict[str, Operation]:
        """Return what to tell, by part, so that the planners have these parts; it counts as told.

        Everything is added when a listener joins, and again after ``limits.repeat``: a planner
        refuses a part whose frame it does not know yet, and loses messages while it plans.

        Args:
            listeners: number of planners; without any there is nothing to tell.
            now: monotonic time, s.
        """
        if not listeners:
            self.clear()
            self._listeners = 0
            return {}
        everything = listeners > self._listeners or now >= self._repeat_due
        self._listeners = listeners
        changes = {name: Operation.REMOVE for name in self._told if name not in parts}
        for name, part in parts.items():
            told = self._told.get(name)
            if everything or told is None or told.shape is not part.shape:
                changes[name] = Operation.ADD
            elif now >= self._move_due and displacement(told, part) > limits.motion:
                changes[name] = Operation.MOVE
        if everything and parts:
            self._repeat_due = now + limits.repeat
        if Operation.MOVE in changes.values():
            # On schedule, so that frames which come a little early or late keep the mean rate.
            late = now - self._move_due > limits.period
            self._move_due = (now if late else self._move_due) + limits.period
        self._told = {name: part if name in changes else self._told[name]
                      for name, part in parts.items()}
        return changes

    def clear(self) -> list[str]:
        """Forget all parts; return those that the planners have and have to remove."""
        told, self._told = list(self._told), {}
        self._move_due = self._repeat_due = -float('inf')
        return told


def displacement(before: ScenePart, after: ScenePart) -> float:
    """Largest distance that a corner of the part's box has moved, m; infinite in another frame."""
    if before.frame_id != after.frame_id:
        return float('inf')
    T = after.T_frame_part - before.T_frame_part
    return float(np.linalg.norm(after.corners @ T[:3, :3].T + T[:3, 3], axis=1).max())


def is_planned(planned: str, object_name: str, part: str) -> bool:
    """Whether the parameter ``planning_parts`` lists a part, or all."""
    names = _names(planned)
    return not names or part in names or link_name(object_name, part) in names


def check_planned_parts(planned: str) -> None:
    """Check the parameter ``planning_parts``.

    Raises:
        ValueError: a name that is neither a part nor ends with ``_<part>``.
    """
    known = dict.fromkeys(part for c in CATEGORIES.values() for part in c.parts)
    for name in _names(planned):
        if name not in known and not name.endswith(tuple(f'_{part}' for part in known)):
            raise ValueError(f"parameter 'planning_parts' lists {name!r}"
                             f'{did_you_mean(name, known)}; write parts, as in "base, lid", or '
                             '<object>_<part>')


def _names(planned: str) -> list[str]:
    return [name for name in (x.strip() for x in planned.split(',')) if name]
