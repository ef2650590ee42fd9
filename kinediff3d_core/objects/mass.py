"""Mass, centre of mass and inertia of a part, from its mesh and a density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kinediff3d_core.objects.category import CATEGORIES, DEFAULT_DENSITY
from kinediff3d_core.objects.convex import hull_of
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


@dataclass(frozen=True)
class Material:
    """What the parts of a category are made of (:class:`Category`).

    Attributes:
        density: kg/m^3. wall: greatest thickness, m; None: parts are solid.
    """

    density: float = DEFAULT_DENSITY
    wall: float | None = None


def material_of(category: str) -> Material:
    """The material of a category; that of an unknown one is solid and of the default density."""
    if category not in CATEGORIES:
        return Material()
    return Material(CATEGORIES[category].density, CATEGORIES[category].wall)


_KNOWN: WeakKeyDictionary[Mesh, tuple[Material, MassProperties]] = WeakKeyDictionary()


def mass_properties(mesh: Mesh, material: Material) -> MassProperties:
    """Mass properties of the solid that a mesh encloses, or of its hull if it is not closed.

    A mesh that encloses more than walls of the material's thickness weighs what the walls do.
    The result is cached for as long as the mesh exists.

    Args:
        mesh: vertices in m; the centre is in the same frame.
    """
    known = _KNOWN.get(mesh)
    if known is None or known[0] != material:
        body = _solid(mesh)
        volume = float(body.volume)
        if material.wall is not None:
            volume = min(volume, material.wall * float(body.area))
        mass = max(material.density * volume, MIN_MASS)
        known = material, MassProperties(
            mass, np.asarray(body.center_mass),
            _possible(np.asarray(body.moment_inertia) / float(body.volume), mass))
        _KNOWN[mesh] = known
    return known[1]


def _solid(mesh: Mesh) -> Any:
    """A mesh that encloses a volume: the mesh itself, its convex hull, or a box around it."""
    import trimesh

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    hull = hull_of(vertices)
    if hull is None:
        low, high = vertices.min(0), vertices.max(0)
        middle, half = (low + high) / 2, np.maximum(high - low, MIN_RADIUS) / 2
        return trimesh.creation.box(bounds=np.stack([middle - half, middle + half]))
    solid = trimesh.Trimesh(vertices, np.asarray(mesh.faces), process=False)
    if solid.is_watertight and solid.volume > MIN_FILL * hull.volume:
        return solid
    return trimesh.Trimesh(hull.vertices, hull.faces, process=False)


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
