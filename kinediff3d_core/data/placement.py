"""How other people's URDFs become canonical: turned, in metres, joints from the closed state on,
and which of their moving parts is which of the category's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, radians
from typing import Any

import numpy as np

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.category import Category

Array = np.ndarray[Any, Any]

AXIS_DEG = 25.0
"""Largest angle between an object's joint axis and its category's."""

ROW = 0.05
"""Look-alike parts whose heights differ by less than this stand in one row, canonical units."""


@dataclass(frozen=True)
class Placement:
    """From a URDF's own root frame to docs/conventions.md, one for all objects of a source."""

    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Roll, pitch and yaw, rad, as in URDF, that turn the root frame into the canonical one."""
    metres: float = 1.0
    """Length of the URDF's unit; PartNet-Mobility is scaled to a unit sphere."""
    zero_at_lower: bool = False
    """Joints are zero at their lower limits (in the category's sense) instead of as written."""
    fix_others: bool = False
    """Moving parts that move like none of the category's are held where they are."""

    @property
    def transform(self) -> Array:
        """(4, 4), points of the root frame into the canonical axes."""
        T = np.eye(4)
        for angle, (i, j) in zip(self.rpy, ((1, 2), (2, 0), (0, 1)), strict=True):
            R = np.eye(4)
            R[i, i] = R[j, j] = np.cos(angle)
            R[j, i] = np.sin(angle)
            R[i, j] = -R[j, i]
            T = R @ T
        return T


AS_WRITTEN = Placement()


def sense(joint_type: str, axis: Array, lower: float, upper: float, category: Category) -> int:
    """Which way a joint must be read to be one of a category's: 1 as written, -1 reversed, 0 none.

    Where both would do, the way in which its limits have more in common with the category's.
    """
    best, found = -1.0, 0
    for sign, low, high in ((1, lower, upper), (-1, -upper, -lower)):
        for want in category.joints:
            if want.joint_type == joint_type and _parallel(sign * axis, want):
                common = max(0.0, min(high, want.upper) - max(low, want.lower))
                if common > best:
                    best, found = common, sign
    return found


def match_joints(joints: Sequence[Joint], links: Sequence[str], place: Array, category: Category,
                 ) -> list[int]:
    """Which joint of an object is which of its category's: an index for each, in their order.

    By name (of the joint, or of its link), then by parent, type, axis and limits. Parts of an
    ``optional_parts`` category that are alike in all of that are ordered by place as drawers are:
    top to bottom, then +y to -y.

    Args:
        links: of all parts, the base first. place: (J, 3) centres of the moving parts, base
            frame, m.

    Raises:
        ValueError: another number of joints, one that fits no part, or several ways to match.
    """
    count, most = len(joints), len(category.joints)
    if count != most and not (category.optional_parts and 1 <= count < most):
        raise ValueError(f'{count} movable joints ({", ".join(j.name for j in joints)}), but a '
                         f'{category.name} has {"1 to " if category.optional_parts else ""}{most}')
    wanted = category.joints[:count]
    named: dict[int, int] = {}
    for i, want in enumerate(wanted):
        for k, have in enumerate(joints):
            if want.name == have.name or category.parts[want.child] == links[have.child]:
                named.setdefault(i, k)
    if len(set(named.values())) < len(named):
        named = {}
    if count - len(named) <= 1:  # one is left for one
        rest = [k for k in range(count) if k not in named.values()]
        pick = [named[i] if i in named else rest[0] for i in range(count)]
        for want, k in zip(wanted, pick, strict=True):
            reason = _unlike(joints[k], want, pick, category)
            if reason:
                raise ValueError(reason)
        return pick
    ways = []
    for way in _ways(joints, wanted, category, named, []):
        ways.append(way)
        if len(ways) > 1 and not category.optional_parts:
            break
    told = ', '.join(f'{j.name!r} ({j.joint_type}, axis {np.round(j.axis, 2).tolist()})'
                     for j in joints)
    if not ways:
        raise ValueError(f'joints {told} do not fit {_described(wanted, category)}')
    if len(ways) == 1:
        return ways[0]
    if category.optional_parts and not named:
        order = by_place(place, ROW * category.scale)
        if order in ways:
            return order
    raise ValueError(f'joints {told} fit {_described(wanted, category)} in more than one way; '
                     'call the joints or their links in the URDF as the category does')


def by_place(place: Array, tolerance: float) -> list[int]:
    """Indices of places (J, 3) top to bottom, and +y to -y where heights are alike."""
    order: list[int] = []
    row: list[int] = []
    for k in sorted(range(len(place)), key=lambda k: -place[k, 2]):
        if row and place[row[0], 2] - place[k, 2] > tolerance:
            order += sorted(row, key=lambda k: -place[k, 1])
            row = []
        row.append(k)
    return order + sorted(row, key=lambda k: -place[k, 1])


def _ways(joints: Sequence[Joint], wanted: Sequence[Joint], category: Category,
          named: dict[int, int], pick: list[int]) -> Iterator[list[int]]:
    """All ways to go on from the first joints' ``pick``."""
    i = len(pick)
    if i == len(wanted):
        yield pick
        return
    for k in [named[i]] if i in named else range(len(joints)):
        taken = k in pick or (i not in named and k in named.values())
        if not taken and not _unlike(joints[k], wanted[i], pick, category):
            yield from _ways(joints, wanted, category, named, [*pick, k])


def _unlike(have: Joint, want: Joint, pick: Sequence[int], category: Category) -> str:
    """Why a joint is not the category's; empty if it may be."""
    its = f'a {category.name}\'s {want.name}'
    if have.joint_type != want.joint_type:
        return f'joint {have.name!r} is {have.joint_type}, {its} is {want.joint_type}'
    if not _parallel(np.array(have.axis), want):
        return (f'joint {have.name!r} goes along {np.round(have.axis, 3).tolist()}, {its} along '
                f'{np.round(want.axis, 3).tolist()}; turn the object into the canonical frame '
                '(docs/conventions.md)')
    if min(have.upper, want.upper) - max(have.lower, want.lower) <= 0:
        return (f'joint {have.name!r} goes from {have.lower:.3g} to {have.upper:.3g}, {its} from '
                f'{want.lower:.3g} to {want.upper:.3g}: the object is turned the wrong way round, '
                'or its joint is zero elsewhere')
    if have.parent != (0 if want.parent == 0 else pick[want.parent - 1] + 1):
        return f'joint {have.name!r} hangs on another part than {its}'
    return ''


def _parallel(axis: Array, want: Joint) -> bool:
    return float(np.dot(axis, want.axis)) >= cos(radians(AXIS_DEG))


def _described(wanted: Sequence[Joint], category: Category) -> str:
    return f'a {category.name}\'s ' + ', '.join(j.name for j in wanted)
