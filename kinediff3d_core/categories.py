"""What a category is: parts, joints, canonical scale. Data, not code: add one to the table."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

from kinediff3d_core.kinematics import Joint


@dataclass(frozen=True)
class Category:
    """An object category in its canonical frame (docs/conventions.md).

    Attributes:
        name: as in commands and folder names.
        parts: part names, the base first.
        joints: one a moving part, parents before children.
        scale: metres per canonical unit, one constant for the category.
    """

    name: str
    parts: tuple[str, ...]
    joints: tuple[Joint, ...]
    scale: float


CATEGORIES: dict[str, Category] = {c.name: c for c in (
    Category('laptop', ('base', 'lid'),
             (Joint('lid_joint', 'revolute', 0, 1, (0.0, -1.0, 0.0), 0.0, radians(180.0)),),
             scale=0.25),
)}


def get_category(name: str) -> Category:
    """The category of that name.

    Raises:
        ValueError: unknown; the message lists the known ones.
    """
    if name not in CATEGORIES:
        raise ValueError(f'unknown category {name!r}; known: {", ".join(sorted(CATEGORIES))}')
    return CATEGORIES[name]
