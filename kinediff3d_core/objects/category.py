"""Object categories: parts, joints and canonical scale. Add one to the table ``CATEGORIES``.

A user's own category comes from a YAML file (:mod:`kinediff3d_core.objects.category_file`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import pi, radians

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.suggestion import unknown

DEFAULT_DENSITY = 700.0
"""Density of the parts of a category that states none, kg/m^3. Chosen: that of wood."""


@dataclass(frozen=True)
class Category:
    """An object category in its canonical frame (docs/conventions.md).

    Attributes:
        name: as in commands and folder names.
        parts: part names, the base first.
        joints: one for each moving part, parents before children.
        scale: metres per canonical unit, one constant for the category.
        test_range: joint positions (lower, upper) of test views, rad or m, within an object's own
            limits.
        train_range: joint positions of training views, a little wider.
        azimuth: greatest angle of the camera from the front (+x), rad.
        part_sets: the sets of moving parts that objects may have, by index, each ascending. Empty
            where every object has all of them.
        density: mass of a part by the volume that its mesh encloses, kg/m^3, hollow spaces and
            what the mesh leaves out included.
        wall: greatest thickness of what a part is made of, m: a mesh that encloses more, because
            its inside was not seen, is taken as hollow. None: parts are solid.
    """

    name: str
    parts: tuple[str, ...]
    joints: tuple[Joint, ...]
    scale: float
    test_range: tuple[float, float]
    train_range: tuple[float, float]
    azimuth: float = pi
    part_sets: tuple[tuple[int, ...], ...] = ()
    density: float = DEFAULT_DENSITY
    wall: float | None = None

    @property
    def possible_sets(self) -> tuple[tuple[int, ...], ...]:
        """The sets of moving parts that objects may have, also where that is a single one."""
        return self.part_sets or (tuple(range(1, len(self.parts))),)

    @property
    def optional_parts(self) -> tuple[int, ...]:
        """Indices of the parts that may be missing."""
        return tuple(k for k in range(1, len(self.parts))
                     if not all(k in chosen for chosen in self.possible_sets))


def _revolute(child: int, part: str, axis: tuple[float, float, float], upper: float) -> Joint:
    return Joint(f'{part}_joint', 'revolute', 0, child, axis, 0.0, radians(upper))


def _prismatic(child: int, part: str, upper: float) -> Joint:
    return Joint(f'{part}_joint', 'prismatic', 0, child, (1.0, 0.0, 0.0), 0.0, upper)


def _deg(low: float, high: float) -> tuple[float, float]:
    return radians(low), radians(high)


FRONT = radians(80.0)
"""Azimuth of objects whose back stands against a wall, rad. Chosen."""
UP, DOWN, BACK, SIDE = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (0.0, 1.0, 0.0)

CATEGORIES: dict[str, Category] = {c.name: c for c in (
    Category('laptop', ('base', 'lid'), (_revolute(1, 'lid', BACK, 180.0),),
             0.25, _deg(10, 130), _deg(5, 145), density=1000.0),
    Category('eyeglasses', ('base', 'leg_left', 'leg_right'),
             (_revolute(1, 'leg_left', UP, 100.0), _revolute(2, 'leg_right', DOWN, 100.0)),
             0.1, _deg(0, 90), _deg(0, 100), density=3000.0),
    Category('dishwasher', ('base', 'door'), (_revolute(1, 'door', SIDE, 100.0),),
             0.5, _deg(0, 90), _deg(0, 100), FRONT, density=250.0, wall=0.06),
    Category('scissors', ('base', 'blade'), (_revolute(1, 'blade', UP, 100.0),),
             0.1, _deg(0, 80), _deg(0, 90), density=8000.0),
    Category('drawer', ('base', *(f'drawer_{i}' for i in range(4))),
             tuple(_prismatic(i + 1, f'drawer_{i}', 0.6) for i in range(4)),
             0.5, (0.0, 0.5), (0.0, 0.6), FRONT,
             part_sets=tuple(tuple(range(1, count + 1)) for count in range(1, 5)),
             density=600.0, wall=0.03),
    Category('box', ('base', 'lid'), (_revolute(1, 'lid', BACK, 200.0),),
             0.2, _deg(0, 180), _deg(0, 200), density=250.0, wall=0.01),
    Category('stapler', ('base', 'arm'), (_revolute(1, 'arm', BACK, 110.0),),
             0.1, _deg(0, 90), _deg(0, 100), density=4000.0),
    Category('cutter', ('base', 'blade'), (_prismatic(1, 'blade', 0.08),),
             0.1, (0.0, 0.08), (0.0, 0.08), density=1500.0),
    Category('cabinet', ('base', 'door_left', 'door_right'),
             (_revolute(1, 'door_left', DOWN, 180.0), _revolute(2, 'door_right', UP, 180.0)),
             0.6, _deg(0, 135), _deg(0, 180), FRONT, part_sets=((1,), (1, 2), (2,)),
             density=400.0, wall=0.04),
)}
PACKAGED = frozenset(CATEGORIES)
"""The categories that come with this package; users add their own to ``CATEGORIES``."""


def get_category(name: str) -> Category:
    """The category of a name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in CATEGORIES:
        raise ValueError(unknown_category(name, sorted(CATEGORIES)))
    return CATEGORIES[name]


def unknown_category(name: str, known: Iterable[str]) -> str:
    """The message about a name that is no category."""
    return (unknown('category', name, known) + '; one of your own is known with its weights or '
            'its data (docs/own_objects.md)')
