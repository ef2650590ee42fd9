"""Estimates: one frozen value for each object, NumPy arrays, metres and radians."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinediff3d_core.geometry.kinematics import Joint, poses_in_base
from kinediff3d_core.geometry.rigid import transform_points


class NoEstimate(RuntimeError):
    """The view does not determine an estimate; the message says why and what would help."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles of one part in its part frame: vertices (V, 3) m, faces (F, 3), outward.

    A mesh is equal only to itself, so that it can be the key of a cache.
    """

    vertices: np.ndarray
    faces: np.ndarray


def transform_mesh(T: np.ndarray, mesh: Mesh) -> Mesh:
    """The mesh with its vertices mapped by T (4, 4), float64."""
    return Mesh(transform_points(T, np.asarray(mesh.vertices, dtype=np.float64)), mesh.faces)


@dataclass(frozen=True)
class PartEstimate:
    """One rigid part.

    Attributes:
        name: of the part.
        T_camera_part: (4, 4), m.
        mesh: in the part frame, or None where no mesh was requested.
    """

    name: str
    T_camera_part: np.ndarray
    mesh: Mesh | None = None


LIMIT_TOLERANCE = 1e-6
"""How far a position that is asked for may be beyond a joint limit, rad or m: rounding. Chosen."""


@dataclass(frozen=True)
class JointEstimate:
    """One joint, in the terms of URDF.

    Attributes:
        name, joint_type: ``revolute`` or ``prismatic``.
        parent, child: part names.
        origin: (3,) pivot in the parent's frame, m.
        axis: (3,) unit direction in the parent's frame.
        position: rad or m.
        lower, upper: limits, same unit.
        std: standard deviation of the position, same unit.
        probability: that the object has this joint.
        velocity: rad/s or m/s while the object is tracked; None from a single view.
    """

    name: str
    joint_type: str
    parent: str
    child: str
    origin: np.ndarray
    axis: np.ndarray
    position: float
    lower: float
    upper: float
    std: float
    probability: float = 1.0
    velocity: float | None = None

    def allows(self, position: float) -> bool:
        """Whether a position is within the limits, but for rounding; never one that is no number.
        """
        return self.lower - LIMIT_TOLERANCE <= position <= self.upper + LIMIT_TOLERANCE


@dataclass(frozen=True)
class Mode:
    """A distinct hypothesis that explains the cloud.

    Attributes:
        weight: the weights of all modes sum to one.
        T_camera_base: (4, 4), m.
        positions: (K-1,) of the joints, rad or m.
        residual: mean distance of the observed points to the posed surface, m.
    """

    weight: float
    T_camera_base: np.ndarray
    positions: np.ndarray
    residual: float


@dataclass(frozen=True)
class ArticulatedEstimate:
    """An articulated object in one view.

    Attributes:
        category: its name.
        parts: the base first; poses and meshes.
        joints: K-1 joints.
        covariance: (6, 6) of the base pose, (x, y, z, rx, ry, rz) about the camera's axes,
            m and rad, from the covariance of the hypotheses that explain the cloud.
        residual: mean distance of the observed points to the posed surface, m.
        confidence: 0..1, the product of the best mode's weight, of how well it fits, of the
            probability, by its covariance, that the pose of every part is accurate, and of its
            support.
        modes: distinct hypotheses, best first.
        latent: (D,) shape code Z.
        points: (N, 3) observed points that were used, camera frame, m.
        seconds: wall time of each stage.
        categories: with category ``auto``, the probability of each category; empty otherwise.
        support: 0..1, what verification leaves of the confidence: low where the image shows
            something else than the predicted surface, or where the shape is unusual.
    """

    category: str
    parts: tuple[PartEstimate, ...]
    joints: tuple[JointEstimate, ...]
    covariance: np.ndarray
    residual: float
    confidence: float
    modes: tuple[Mode, ...]
    latent: np.ndarray
    points: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict)
    categories: dict[str, float] = field(default_factory=dict)
    support: float = 1.0

    @property
    def T_camera_base(self) -> np.ndarray:
        return self.parts[0].T_camera_part

    def part_poses_at(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """T_base_part (4, 4) of every part, by name, at joint positions (K-1,), rad or m."""
        names = [p.name for p in self.parts]
        joints = tuple(Joint(j.name, j.joint_type, names.index(j.parent), names.index(j.child),
                             tuple(j.axis), j.lower, j.upper) for j in self.joints)
        poses = poses_in_base(joints, positions, np.array([j.origin for j in self.joints]),
                              np.array([j.axis for j in self.joints]))
        return dict(zip((names[0], *(j.child for j in self.joints)), poses, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content of ``estimate.json``: no meshes, no points."""
        return {
            'category': self.category,
            'parts': [{'name': p.name, 'T_camera_part': p.T_camera_part.tolist()}
                      for p in self.parts],
            'joints': [{
                'name': j.name, 'joint_type': j.joint_type, 'parent': j.parent, 'child': j.child,
                'origin': j.origin.tolist(), 'axis': j.axis.tolist(), 'position': j.position,
                'limit': {'lower': j.lower, 'upper': j.upper}, 'std': j.std,
                'probability': j.probability} for j in self.joints],
            'covariance': self.covariance.tolist(),
            'residual': self.residual,
            'confidence': self.confidence,
            'support': self.support,
            'modes': [{'weight': m.weight, 'T_camera_base': m.T_camera_base.tolist(),
                       'positions': m.positions.tolist(), 'residual': m.residual}
                      for m in self.modes],
            'latent': self.latent.tolist(),
            'seconds': self.seconds,
            'categories': self.categories,
        }
