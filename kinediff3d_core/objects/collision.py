"""Collision geometry: convex pieces of the parts that let the joints move.

Convex pieces of one part fill small hollows of it, and estimated parts overlap by some
millimetres. A simulator pushes overlapping bodies apart: drawers leave their cabinet. Each part's
pieces are therefore cut back where its moving parts pass. Libraries (V-HACD, CoACD) decompose one
mesh and know nothing of the parts that move in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinediff3d_core.objects.convex import Polyhedron, hull_of, subtract
from kinediff3d_core.objects.convex_pieces import DecompositionConfig, convex_pieces
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class CollisionConfig:
    """How collision geometry is made. All values are chosen."""

    decomposition: DecompositionConfig = field(default_factory=DecompositionConfig)
    """Bounds of the decomposition of one part."""
    turn: float = np.deg2rad(6.0)
    """Greatest angle between the positions of a turning part between which its hull is taken, rad;
    an arc then lies at most 0.14 % of its radius outside of it."""
    clearance: float = 0.008
    """Gap between a part and one that moves in it, in shares of the moving part's diagonal."""
    max_clearance: float = 2.2e-3
    """Greatest gap, m: Bullet adds 1 mm around every piece."""
    min_share: float = 0.08
    """A cut keeps a piece of at least this share of a piece's width; the rest is dropped."""
    most_pieces: int = 32
    """Most pieces of a part after the cuts; the smallest are dropped."""


CONFIG = CollisionConfig()


def collision_pieces(estimate: ArticulatedEstimate,
                     config: CollisionConfig = CONFIG) -> dict[str, tuple[Mesh, ...]]:
    """Convex pieces (vertices (V, 3), faces (F, 3), part frame, m) of every part with a mesh.

    Pieces of two parts do not overlap at the estimated positions, nor while one joint is anywhere
    in its range and the others are at zero.
    """
    pieces: dict[str, list[Polyhedron]] = {}
    for part in reversed(estimate.parts):
        if part.mesh is None:
            continue
        own = convex_pieces(part.mesh, config.decomposition)
        for other, obstacles in pieces.items():
            gap = min(config.max_clearance, config.clearance * _diagonal(obstacles))
            moving = _obstacles(estimate, part.name, other, obstacles, config)
            own = [left for piece in own
                   for left in subtract(piece, moving, gap, config.min_share)]
        own.sort(key=lambda piece: -piece.volume)
        pieces[part.name] = own[:config.most_pieces]
    return {part.name: tuple(Mesh(p.vertices, p.faces) for p in pieces[part.name])
            for part in estimate.parts if part.name in pieces}


def _diagonal(pieces: list[Polyhedron]) -> float:
    vertices = np.concatenate([p.vertices for p in pieces] or [np.zeros((1, 3))])
    return float(np.linalg.norm(np.ptp(vertices, axis=0)))


def _obstacles(estimate: ArticulatedEstimate, part: str, other: str, pieces: list[Polyhedron],
               config: CollisionConfig) -> list[Polyhedron]:
    """Where the pieces of another part are in a part's frame, over the states that count."""
    estimated = np.array([j.position for j in estimate.joints])
    closed = np.array([np.clip(0.0, j.lower, j.upper) for j in estimate.joints])
    here, start = (_relative(estimate, part, other, q) for q in (estimated, closed))
    found = [piece.moved(T) for T in (here, start) for piece in pieces]
    for i, joint in enumerate(estimate.joints):
        motions = []
        for position in _steps(joint, config):
            positions = closed.copy()
            positions[i] = position
            motions.append(_relative(estimate, part, other, positions))
        if not np.allclose(motions, start):
            found += _swept(motions, pieces)
    return found


def _relative(estimate: ArticulatedEstimate, part: str, other: str, positions: Array) -> Array:
    """T_part_other (4, 4) at joint positions."""
    poses = estimate.part_poses_at(positions)
    return np.asarray(np.linalg.inv(poses[part]) @ poses[other])


def _steps(joint: JointEstimate, config: CollisionConfig) -> Array:
    """Positions along a joint's range, near enough that hulls between them are tight."""
    steps = 1 if joint.joint_type == 'prismatic' else max(
        1, int(np.ceil((joint.upper - joint.lower) / config.turn)))
    return np.linspace(joint.lower, joint.upper, steps + 1)


def _swept(motions: list[Array], pieces: list[Polyhedron]) -> list[Polyhedron]:
    """Hulls of each piece at two poses (4, 4) that follow each other."""
    hulls = []
    for piece in pieces:
        placed = [piece.moved(T).vertices for T in motions]
        hulls += [hull_of(np.concatenate(pair)) for pair in zip(placed, placed[1:], strict=False)]
    return [h for h in hulls if h is not None]
