"""What a robot needs to open a part: where to hold it, and how it moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.spatial.transform import Rotation
from simulated_object import SimulatedObject

from kinediff3d_core.objects.contact import contact_candidates
from kinediff3d_core.objects.opening import opening_path

if TYPE_CHECKING:
    from world import World


@dataclass(frozen=True)
class Hold:
    """A place where the part can be held.

    Attributes:
        T_camera_contact: (4, 4) contact frame: x along the motion, z the approach.
        extents: (3,) of what is held along its axes, m.
        reachable: the gripper is free of the object there.
    """

    T_camera_contact: np.ndarray
    extents: np.ndarray
    reachable: bool


@dataclass(frozen=True)
class Guidance:
    """What one look at the object says.

    Attributes:
        holds: reachable ones first, the best ones first among them.
        path: (N, 4, 4) poses of a frame on the part, from the present one to that of the open
            part, camera frame.
    """

    holds: tuple[Hold, ...]
    path: np.ndarray


class Unseen(RuntimeError):
    """A look that gives no guidance; the message says why."""


class Guide(Protocol):
    """Something that looks at the object and knows how to open it."""

    def look(self, world: World) -> Guidance:
        """Guidance from the present state of the world that the object is in.

        Raises:
            Unseen: the view gives none.
        """


class TrueGuide:
    """Guidance from the true pose, joint and meshes: the upper bound of what perception gives."""

    def __init__(self, thing: SimulatedObject) -> None:
        self._thing = thing
        self._contacts = contact_candidates(thing.estimate(thing.start))[thing.part]

    def look(self, world: World) -> Guidance:
        """Guidance without error, from the true joint positions."""
        estimate = self._thing.estimate(world.positions)
        T = next(p.T_camera_part for p in estimate.parts if p.name == self._thing.part)
        holds = [Hold(T @ c.T_part_contact, c.extents, c.reachable) for c in self._contacts]
        return Guidance(reachable_first(holds), opening_path(estimate, self._contacts[0]))


def reachable_first(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """Places where the gripper is free of the object before the others, else in their order."""
    return tuple(sorted(holds, key=lambda hold: not hold.reachable))


def grips(holds: Sequence[Hold], widest: float) -> tuple[Hold, ...]:
    """How the places can be held, in the order of trials: the reachable ones as they are.

    Where no finger goes behind the part, because it is nearly closed, each place is first held
    across the motion, if it is narrow, and moved by friction, and then as it is meant.

    Args:
        widest: greatest width that the fingers can hold, m.
    """
    reachable = tuple(h for h in holds if h.reachable)
    if reachable:
        return reachable
    across = [min(_turned(h), _from_ahead(h), key=lambda g: g.extents[0]) for h in holds]
    return tuple(grip for pair in zip(across, holds, strict=True) for grip in pair
                 if grip is pair[1] or grip.extents[0] < widest)


def _turned(hold: Hold) -> Hold:
    """The same place and approach with fingers that close along y instead of x."""
    T = hold.T_camera_contact.copy()
    T[:3, :2] = np.stack([T[:3, 1], -T[:3, 0]], axis=1)
    return Hold(T, hold.extents[[1, 0, 2]], False)


def _from_ahead(hold: Hold) -> Hold:
    """The same place with an approach against the motion and fingers that close along z."""
    T = hold.T_camera_contact.copy()
    T[:3, 3] += T[:3, 0] * hold.extents[0] / 2 + T[:3, 2] * hold.extents[2] / 2
    T[:3, :3] = np.stack([T[:3, 2], T[:3, 1], -T[:3, 0]], axis=1)
    return Hold(T, hold.extents[[2, 1, 0]], False)


def path_length(path: np.ndarray) -> float:
    """Length of the way of a path's origin, m."""
    return float(np.linalg.norm(np.diff(path[:, :3, 3], axis=0), axis=1).sum())


def motion_along(path: np.ndarray, distance: float) -> np.ndarray:
    """The rigid motion (4, 4) that takes the part along its path by a distance, in m.

    It maps points of the camera's frame, whatever frame on the part the path is of. Beyond the
    path's end it is that of the end.

    Args:
        path: (N, 4, 4), poses at equal distances.
    """
    length, last = path_length(path), len(path) - 1
    place = last * min(distance / length, 1.0) if length > 0 else 0.0
    index = min(int(place), last - 1)
    return between(path[index], path[index + 1], place - index) @ np.linalg.inv(path[0])


def between(T_first: np.ndarray, T_second: np.ndarray, share: float) -> np.ndarray:
    """The pose (4, 4) at a share, 0 to 1, of the way between two: straight, turning evenly."""
    turn = Rotation.from_matrix(T_first[:3, :3].T @ T_second[:3, :3]).as_rotvec()
    T = np.eye(4)
    T[:3, :3] = T_first[:3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
    T[:3, 3] = (1 - share) * T_first[:3, 3] + share * T_second[:3, 3]
    return T
