"""Mass, centre of mass and inertia of a part, from its mesh and a density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.category import CATEGORIES, DEFAULT_DENSITY
from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]

MIN_MASS = 1e-3
"""Least mass of a part, kg. Chosen: simulators become unstable with lighter bodies."""
MIN_RADIUS = 1e-3
"""Least radius of gyration about each principal axis, m. Chosen: keeps the inertia of a flat or
tiny part above zero."""
MIN_FILL = 1e-3
"""Least share of its convex hull that a mesh encloses; below it, the mesh is not a closed surface
and its hull is taken. Chosen."""


@dataclass(frozen=True)
class MassProperties:
    """Mass properties of a rigid body.

    Attributes:
        mass: kg.
        centre: (3,) of mass, m.
        inertia: (3, 3) about the centre of mass, kg m^2.
    """

    mass: float
    centre: Array
    inertia: Array


def density_of(category: str) -> float:
    """Density of the parts of a category, kg/m^3; that of an unknown one is the default."""
    return CATEGORIES[category].density if category in CATEGORIES else DEFAULT_DENSITY


def mass_properties(mesh: Mesh, density: float) -> MassProperties:
    """Mass properties of the solid that a mesh encloses, or of its hull if it is not closed.

    Args:
        mesh: vertices in m; the centre is in the same frame. density: kg/m^3.
    """
    import trimesh

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    low, high = vertices.min(0), vertices.max(0)
    solid = trimesh.Trimesh(vertices, np.asarray(mesh.faces), process=False)
    try:
        hull = solid.convex_hull
    except Exception:  # Qhull's errors: a flat part
        hull = trimesh.creation.box(
            np.maximum(high - low, MIN_RADIUS),
            trimesh.transformations.translation_matrix((low + high) / 2))
    for body in (solid, hull):
        found = body.mass_properties
        centre, inertia = np.asarray(found.center_mass), np.asarray(found.inertia)
        if found.volume > MIN_FILL * hull.volume and (low <= centre).all() and (
                centre <= high).all() and np.linalg.eigvalsh(inertia).min() > 0 and (
                body is hull or body.is_watertight):
            break
    mass = max(density * float(found.volume), MIN_MASS)
    return MassProperties(mass, centre, _possible(inertia / found.volume, mass))


def _possible(per_mass: Array, mass: float) -> Array:
    """The inertia (3, 3) of a body, with radii of gyration of at least :data:`MIN_RADIUS`.

    A body's second moments along its principal axes are not negative, which is the triangle
    inequality of its moments of inertia.

    Args:
        per_mass: (3, 3) inertia of a body of 1 kg.
    """
    second = np.trace(per_mass) / 2 * np.eye(3) - per_mass
    values, axes = np.linalg.eigh(second)
    second = axes * np.maximum(values, MIN_RADIUS ** 2) @ axes.T
    return np.asarray(mass * (np.trace(second) * np.eye(3) - second))
