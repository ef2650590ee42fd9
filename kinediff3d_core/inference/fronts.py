"""Drawers by their fronts: states that the faces in the depth image propose, and how well a
hypothesis's fronts agree with them.

On unusual furniture, the score model's samples can have another number of drawers than the image
shows, or take one drawer for another. Fronts of open drawers are planes with edges
(:mod:`kinediff3d_core.observation.fronts`): they give the drawers' number, order and positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.inference.presets import FrontsConfig
from kinediff3d_core.inference.residuals import part_poses
from kinediff3d_core.inference.shape import Shape
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import Category
from kinediff3d_core.observation.fronts import Face, find_faces


@dataclass(frozen=True)
class Fronts:
    """The faces of a view.

    Attributes:
        faces: in a frame with the camera's origin, m.
        levels: x at which drawers may be closed, the likeliest first, m.
        R: (3, 3) rotation of that frame in the camera's.
        points: (P, 3) of the object in that frame, m.
    """

    faces: tuple[Face, ...]
    levels: tuple[float, ...]
    R: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Proposals:
    """States (M) that faces propose, canonical units, and how many drawers each has: (M)."""

    state: State
    drawers: Tensor


def has_fronts(category: Category) -> bool:
    """Whether the moving parts of a category are several that slide along the base's x axis."""
    return len(category.joints) > 1 and all(
        j.joint_type == 'prismatic' and tuple(j.axis) == (1.0, 0.0, 0.0) and j.parent == 0
        for j in category.joints)


def observe_fronts(points: np.ndarray, reference: State, config: FrontsConfig) -> Fronts | None:
    """The faces of a view, or None where none is seen.

    Args:
        points: (P, 3) of the object, m.
        reference: (1) whose base is turned about right.
    """
    R = reference.T_camera_base[0, :3, :3].double().numpy()
    faces, levels, R = find_faces(points, R, config.faces)
    return Fronts(tuple(faces), tuple(levels), R, points @ R) if faces else None


def stands_out(category: Category, fronts: Fronts, reference: State, field: Field,
               config: FrontsConfig) -> bool:
    """Whether a face is that of an open drawer, by the body's front in a reference (1)."""
    level = _predicted_level(category, fronts, reference, field) + config.open
    return any(f.x > level for f in fronts.faces)


def propose(category: Category, fronts: Fronts, references: State, field: Field,
            config: FrontsConfig) -> Proposals | None:
    """States with a drawer at each face that stands out, and some closed ones.

    Args:
        references: (H) states that give what faces do not: the base, and how deep drawers are.
        field: (H) their shapes.
    """
    found: list[State] = []
    counts: list[int] = []
    for h in range(len(references.q)):
        for level in _levels(category, fronts, references[h:h + 1], field[h:h + 1], config):
            for faces in _sets(fronts, level, len(category.joints), config):
                found.append(_state(category, fronts, references[h:h + 1], field[h:h + 1], level,
                                    faces))
                counts.append(len(faces))
    return Proposals(State.concatenate(found), torch.tensor(counts)) if found else None


def _levels(category: Category, fronts: Fronts, reference: State, field: Field,
            config: FrontsConfig) -> list[float]:
    """Levels at which drawers may be closed: the reference's, and observed ones."""
    own = _predicted_level(category, fronts, reference, field)
    near = [x for x in fronts.levels if abs(x - own) < config.level_reach]
    kept: list[float] = []
    for x in [*near[:config.levels], own]:
        if all(abs(x - other) > config.same_level for other in kept):
            kept.append(x)
    return kept


def _predicted_level(category: Category, fronts: Fronts, reference: State, field: Field) -> float:
    """x of the body's front in a reference, m."""
    middle = reference.T_camera_base[0, :3, 3].double().numpy() * category.scale
    front = float(field.centre[0, 0, 0] + field.half[0, 0, 0]) * category.scale
    return float(middle @ fronts.R[:, 0]) + front


def _sets(fronts: Fronts, level: float, most: int, config: FrontsConfig,
          ) -> Iterator[list[tuple[Face, float]]]:
    """Drawers as faces and positions: the open ones, then with closed ones at that level."""
    opened = _outermost([f for f in fronts.faces if f.x > level + config.stands_out])
    if not 0 < len(opened) <= most:
        return
    height = float(np.median([f.high[1] - f.low[1] for f in opened]))
    closed = [f for f in fronts.faces if abs(f.x - level) <= config.stands_out
              and any(_one_column(f, o, config) for o in opened)]
    options = [[], closed, [half for f in closed for half in _divide(f, height)]]
    seen = set()
    for option in options:
        if len(option) not in seen and len(opened) + len(option) <= most:
            seen.add(len(option))
            yield _in_order([*((f, f.x - level) for f in opened), *((f, 0.0) for f in option)])


def _outermost(faces: Sequence[Face]) -> list[Face]:
    """The faces without those that lie behind another one."""
    return [f for f in faces if not any(
        o.x > f.x and (o.low <= f.middle).all() and (f.middle <= o.high).all() for o in faces)]


def _one_column(face: Face, other: Face, config: FrontsConfig) -> bool:
    """Whether two faces are about as wide and above each other, or as high and in one row."""
    for axis in (0, 1):
        both = min(face.high[axis], other.high[axis]) - max(face.low[axis], other.low[axis])
        longer = max(face.high[axis] - face.low[axis], other.high[axis] - other.low[axis])
        if both > config.one_column * longer:
            return True
    return False


def _divide(face: Face, height: float) -> list[Face]:
    """A face as faces of about a height above each other."""
    count = max(1, round(float(face.high[1] - face.low[1]) / height))
    z = np.linspace(face.low[1], face.high[1], count + 1)
    return [Face(face.x, np.array([face.low[0], z[i]]), np.array([face.high[0], z[i + 1]]))
            for i in range(count)]


def _in_order(drawers: list[tuple[Face, float]]) -> list[tuple[Face, float]]:
    """From top to bottom, and in each row from +y to -y."""
    rows: list[list[tuple[Face, float]]] = []
    for drawer in sorted(drawers, key=lambda d: -d[0].middle[1]):
        if rows and drawer[0].middle[1] > rows[-1][0][0].low[1]:
            rows[-1].append(drawer)
        else:
            rows.append([drawer])
    return [d for row in rows for d in sorted(row, key=lambda d: -d[0].middle[0])]


def _state(category: Category, fronts: Fronts, reference: State, field: Field, level: float,
           drawers: Sequence[tuple[Face, float]]) -> State:
    """The reference with its body's front at a level, and with these drawers."""
    T, q, origin = (x.clone() for x in (reference.T_camera_base, reference.q, reference.origin))
    shift = level - _predicted_level(category, fronts, reference, field)
    R = torch.from_numpy(fronts.R).to(T)
    T[0, :3, :3] = R
    T[0, :3, 3] += R[:, 0] * shift / category.scale
    middle = T[0, :3, 3].double().numpy() @ fronts.R
    for i, (face, position) in enumerate(drawers):
        q[0, i] = position / category.scale
        origin[0, i, 0] = reference.origin[0, 0, 0]
        origin[0, i, 1:] = torch.from_numpy(face.middle / category.scale - middle[1:])
    return replace(reference, T_camera_base=T, q=q, origin=origin)


def mismatch(shape: Shape, field: Field, state: State, fronts: Fronts, config: FrontsConfig,
             ) -> Tensor:
    """How many faces and fronts of open drawers of each hypothesis have no counterpart: (H).

    Faces that stand out from the body's front and open drawers are assigned one to one. A pair
    that overlaps little (:attr:`FrontsConfig.same_area`) counts in part. Points that are
    measured on a front count as a part of a face (:attr:`FrontsConfig.measured`): small fronts,
    and those that are seen steeply, are not found.
    """
    low, high = (x * shape.category.scale for x in _boxes(shape, field, state, fronts.R))
    present = (field.exists[:, 1:] > 0).cpu().numpy()
    return torch.tensor([_unpaired(fronts, high[h, 0, 0], low[h, 1:][present[h]],
                                   high[h, 1:][present[h]], config)
                         for h in range(len(state.q))])


def _unpaired(fronts: Fronts, level: float, low: np.ndarray, high: np.ndarray,
              config: FrontsConfig) -> float:
    """As :func:`mismatch` of one hypothesis with boxes (D, 3) of drawers, m.

    Args:
        level: x of the body's front.
    """
    standing = set(map(id, _outermost([f for f in fronts.faces if f.x > level + config.open])))
    agree = np.array([[_agreement(f, box, config) for box in zip(low, high, strict=True)]
                      for f in fronts.faces]).reshape(len(fronts.faces), len(low))
    rows, columns = linear_sum_assignment(-agree)
    of_face, of_drawer = np.zeros(len(fronts.faces)), np.zeros(len(low))
    of_face[rows] = of_drawer[columns] = agree[rows, columns]
    of_drawer = np.maximum(of_drawer, [_measured(fronts.points, box, config)
                                       for box in zip(low, high, strict=True)])
    missing = sum(1 - a for f, a in zip(fronts.faces, of_face, strict=True) if id(f) in standing)
    return float(missing + (1 - of_drawer)[high[:, 0] > level + config.open].sum())


def _agreement(face: Face, box: tuple[np.ndarray, np.ndarray], config: FrontsConfig) -> float:
    """Whether a box's front is this face: 0 (one is before the other, or beside it) to 1."""
    low, high = box
    handle = high[0] - face.x
    if not -config.same_front < handle < config.same_front + config.handle:
        return 0.0
    return min(1.0, face.overlap(low[1:], high[1:]) / config.same_area)


def _measured(points: np.ndarray, box: tuple[np.ndarray, np.ndarray], config: FrontsConfig,
              ) -> float:
    """As :func:`_agreement` of a front with points (P, 3) instead of a face."""
    low, high = box
    handle = high[0] - points[:, 0]
    on = points[(handle > -config.same_front) & (handle < config.same_front + config.handle)]
    cell = np.floor((on[:, 1:] - low[1:]) / (high[1:] - low[1:]) * config.cells)
    cell = np.unique(cell[((cell >= 0) & (cell < config.cells)).all(1)], axis=0)
    return config.measured * min(1.0, len(cell) / config.cells ** 2 / config.same_area)


def _boxes(shape: Shape, field: Field, state: State, R: np.ndarray,
           ) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest coordinates (H, K, 3) of the parts' boxes along the axes of a frame."""
    signs = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0)
                          for z in (-1.0, 1.0)])
    corners = field.centre[:, :, None].cpu() + signs * field.half[:, :, None].cpu()
    points = transform_points(part_poses(shape, state).cpu(), corners).double().numpy() @ R
    return points.min(2), points.max(2)
