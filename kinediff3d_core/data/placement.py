"""How third-party URDFs become canonical.

A :class:`Placement` turns them, scales them to metres, and puts the zero of their joints at the
closed state. :func:`match_joints` matches their joints to those of the category.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, radians
from typing import Any

import numpy as np

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.suggestion import did_you_mean

Array = np.ndarray[Any, Any]

AXIS_DEG = 25.0
"""Largest angle between an object's joint axis and its category's, degrees. Chosen."""

ROW = 0.05
"""Parts of the same kind whose heights differ by less than this are in one row, canonical units.
Chosen."""

MISSPELT = 0.8
"""Least similarity of a name to the category's that it is likely meant to be. Chosen: names that
count, such as joint_1, are less similar."""
NAMED = 2
"""Most such names in a message."""


SAY_NAMES = 'call the joints or their links in the URDF as the category does'


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
    """Joints that match none of the category's are fixed at their zero."""

    @property
    def transform(self) -> Array:
        """(4, 4) from the root frame to the canonical axes."""
        T = np.eye(4)
        for angle, (i, j) in zip(self.rpy, ((1, 2), (2, 0), (0, 1)), strict=True):
            R = np.eye(4)
            R[i, i] = R[j, j] = np.cos(angle)
            R[j, i] = np.sin(angle)
            R[i, j] = -R[j, i]
            T = R @ T
        return T


AS_WRITTEN = Placement()
"""For URDFs that already follow docs/conventions.md."""


def sense(joint_type: str, axis: Array, lower: float, upper: float, category: Category) -> int:
    """In which sense a joint is one of a category's: 1 as written, -1 reversed, 0 in none.

    If it is in both, the sense in which its limits overlap more with the category's.

    Args:
        axis: (3,) unit direction in the canonical frame.
        lower, upper: limits as written, rad or m.
    """
    best, found = -1.0, 0
    for sign, low, high in ((1, lower, upper), (-1, -upper, -lower)):
        for want in category.joints:
            if want.joint_type == joint_type and _parallel(sign * axis, want):
                common = max(0.0, min(high, want.upper) - max(low, want.lower))
                if common > best:
                    best, found = common, sign
    return found


@dataclass(frozen=True)
class JointMatch:
    """Which of a category's parts an object has, and which of its joints moves which.

    Attributes:
        parts: names of the parts, the base first, in the category's order.
        joints: with the category's names and the object's own axes and limits; their indices are
            those of ``parts``.
        pick: index of the object's joint for each of them.
    """

    parts: tuple[str, ...]
    joints: tuple[Joint, ...]
    pick: list[int]


def match_joints(joints: Sequence[Joint], links: Sequence[str], place: Array, category: Category,
                 ) -> JointMatch:
    """The joints of a category that an object has.

    Joints match by name (their own, or that of their link), then by parent, type, axis and limits.
    Where parts may be missing, each of the category's sets of that many parts is tried. Parts that
    are alike in all of that, as drawers, are ordered by place: top to bottom, then +y to -y.

    Args:
        joints: J joints of the object.
        links: of all parts, the base first.
        place: (J, 3) centres of the moving parts, base frame, m.

    Raises:
        ValueError: another number of joints, one that fits no part, or several ways to match.
    """
    wanted = [[j for j in category.joints if j.child in chosen]
              for chosen in category.possible_sets if len(chosen) == len(joints)]
    if not wanted:
        raise ValueError(f'{len(joints)} movable joints ({", ".join(j.name for j in joints)}), '
                         f'but a {category.name} has {counts_text(category)}')
    named = {i for want in wanted for i in _match_names(joints, want, links, category)}
    found, faults = [], []
    for want in wanted:
        names = _match_names(joints, want, links, category)
        if named - names.keys():  # A name says that another set is meant.
            continue
        try:
            found.append(_matched(joints, want, _match_set(joints, want, names, place, category),
                                  category))
        except ValueError as error:
            faults.append(str(error))
    hint = _suggestions([*(j.name for j in joints), *links[1:]], category)
    if not found:
        reason = faults[0] if len(faults) == 1 else \
            f'joints {_listed(joints)} do not fit those of a {category.name}: {faults[0]}'
        raise ValueError(f'{reason}{hint}')
    if len(found) > 1:
        raise ValueError(f'joints {_listed(joints)} fit more than one set of parts of a '
                         f'{category.name}; {SAY_NAMES}{hint}')
    return found[0]


def counts_text(category: Category) -> str:
    """How many moving parts objects of a category have, as text: "2", "1 or 3", "1 to 4"."""
    counts = sorted({len(chosen) for chosen in category.possible_sets})
    if len(counts) > 2 and counts == list(range(counts[0], counts[-1] + 1)):
        return f'{counts[0]} to {counts[-1]}'
    return ' or '.join(map(str, counts))


def _matched(joints: Sequence[Joint], wanted: Sequence[Joint], pick: list[int],
             category: Category) -> JointMatch:
    """The match with indices of the parts that the object has."""
    kept = [0, *(j.child for j in wanted)]
    row = {k: i for i, k in enumerate(kept)}
    return JointMatch(
        tuple(category.parts[k] for k in kept),
        tuple(Joint(want.name, want.joint_type, row[want.parent], row[want.child], joints[i].axis,
                    joints[i].lower, joints[i].upper)
              for want, i in zip(wanted, pick, strict=True)), pick)


def _match_set(joints: Sequence[Joint], wanted: Sequence[Joint], named: dict[int, int],
               place: Array, category: Category) -> list[int]:
    """Index of the object's joint for each of as many of the category's.

    Args:
        named: those that match by name, by the index in ``wanted``.

    Raises:
        ValueError: a joint that fits no part, or several ways to match.
    """
    if len(joints) - len(named) <= 1:
        return _match_last(joints, wanted, named, category)
    matches = []
    for match in _matches(joints, wanted, category, named, []):
        matches.append(match)
        if len(matches) > 1 and not category.optional_parts:
            break
    if not matches:
        raise ValueError(f'joints {_listed(joints)} do not fit {_described(wanted, category)}')
    if len(matches) == 1:
        return matches[0]
    if category.optional_parts and not named:
        order = by_place(place, ROW * category.scale)
        if order in matches:
            return order
    raise ValueError(f'joints {_listed(joints)} fit {_described(wanted, category)} in more than '
                     f'one way; {SAY_NAMES}')


def _suggestions(names: Sequence[str], category: Category) -> str:
    """The category's names that joints and links likely should have, in words."""
    own = [*(joint.name for joint in category.joints), *category.parts]
    hints = [f'{name!r}{did_you_mean(name, own, MISSPELT)}' for name in names if name not in own]
    found = [hint for hint in hints if hint.endswith('?)')]
    return f': {", ".join(found[:NAMED])}' if found else ''


def _match_names(joints: Sequence[Joint], wanted: Sequence[Joint], links: Sequence[str],
                 category: Category) -> dict[int, int]:
    """Index of the object's joint by index of the category's, of those with the same name.

    Empty if two of the category's joints have the same match.
    """
    named: dict[int, int] = {}
    for i, want in enumerate(wanted):
        for k, have in enumerate(joints):
            if want.name == have.name or category.parts[want.child] == links[have.child]:
                named.setdefault(i, k)
    return named if len(set(named.values())) == len(named) else {}


def _match_last(joints: Sequence[Joint], wanted: Sequence[Joint], named: dict[int, int],
                category: Category) -> list[int]:
    """The match where names leave at most one joint open.

    Raises:
        ValueError: a joint is not the one that its name says, or the last one does not fit.
    """
    rest = [k for k in range(len(joints)) if k not in named.values()]
    pick = [named[i] if i in named else rest[0] for i in range(len(joints))]
    for want, k in zip(wanted, pick, strict=True):
        reason = _difference(joints[k], want, pick, category)
        if reason:
            raise ValueError(reason)
    return pick


def by_place(place: Array, tolerance: float) -> list[int]:
    """Indices of places (J, 3), m, from top to bottom, and from +y to -y in one row.

    A row are those that are at most ``tolerance``, m, below its highest one.
    """
    order: list[int] = []
    row: list[int] = []
    for k in sorted(range(len(place)), key=lambda k: -place[k, 2]):
        if row and place[row[0], 2] - place[k, 2] > tolerance:
            order += sorted(row, key=lambda k: -place[k, 1])
            row = []
        row.append(k)
    return order + sorted(row, key=lambda k: -place[k, 1])


def _matches(joints: Sequence[Joint], wanted: Sequence[Joint], category: Category,
             named: dict[int, int], pick: list[int]) -> Iterator[list[int]]:
    """All matches that begin with ``pick``, in which named joints are matched by name."""
    i = len(pick)
    if i == len(wanted):
        yield pick
        return
    for k in [named[i]] if i in named else range(len(joints)):
        taken = k in pick or (i not in named and k in named.values())
        if not taken and not _difference(joints[k], wanted[i], pick, category):
            yield from _matches(joints, wanted, category, named, [*pick, k])


def _difference(have: Joint, want: Joint, pick: Sequence[int], category: Category) -> str:
    """Why a joint cannot be the category's; empty if it can."""
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
        return f'joint {have.name!r} has another parent part than {its}'
    return ''


def _parallel(axis: Array, want: Joint) -> bool:
    """Whether a unit axis (3,) is within ``AXIS_DEG`` of a joint's."""
    return float(np.dot(axis, want.axis)) >= cos(radians(AXIS_DEG))


def _listed(joints: Sequence[Joint]) -> str:
    return ', '.join(f'{j.name!r} ({j.joint_type}, axis {np.round(j.axis, 2).tolist()})'
                     for j in joints)


def _described(wanted: Sequence[Joint], category: Category) -> str:
    return f'a {category.name}\'s ' + ', '.join(j.name for j in wanted)
