"""What stands around an object: the support, walls, neighbours, furniture it is built into, hands.

Everything is a box or an ellipsoid, met by rays in closed form, so that the depth of a whole batch
costs little beside that of the object itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import invert_transform, make_transform, transform_points
from kinediff3d_core.simulation.mask_errors import OCCLUDER
from kinediff3d_core.simulation.random_fields import normal, uniform

PARALLEL = 1e-9
"""Smaller components of a ray's direction count as this one, so that no division is by zero."""
NEAREST = 0.05
"""Surroundings are not nearer to the camera than this, m. Chosen."""
THICK = 0.04
"""Thickness of supports, m. Chosen."""


@dataclass(frozen=True)
class Surroundings:
    """What may stand around an object. Probabilities are of a view; lengths are shares of the
    diagonal of the object's box unless a unit is given. All values are chosen."""

    support: float = 0.75
    """Probability of a table or floor under the object."""
    support_reach: tuple[float, float] = (0.05, 1.5)
    """How far it reaches beyond the object on each side."""
    wall: float = 0.25
    """Probability of a wall behind the object."""
    wall_gap: float = 0.3
    """Largest gap between the wall and the object."""
    neighbour: float = 0.25
    """Probability of each of two things beside the object."""
    neighbour_gap: float = 0.3
    """Largest gap between them and the object."""
    neighbour_size: tuple[float, float] = (0.15, 0.85)
    """Range of their width, depth and height."""
    neighbour_in_x: float = 0.4
    """Probability that such a thing is before or behind the object, not at its left or right."""
    built_in: float = 0.5
    """Probability that furniture or an appliance stands between neighbours, whose fronts are flush
    with its own."""
    built_in_side: float = 0.85
    """Probability of each neighbour where it is built in: left, right, above, below."""
    flush: float = 0.02
    """Standard deviation of the distance between the fronts, m."""
    hand: float = 0.15
    """Probability of a hand with its forearm before the object."""


WALL_REACH = 3.0
"""How far a wall reaches beyond the object, m. Chosen."""
BUILT_IN_WIDTH = 0.6
"""Width of the neighbours at the left and right of built-in furniture, m. Chosen."""
BUILT_IN_HEIGHT = 0.2
"""Height of what is above and below it, m. Chosen."""
BUILT_IN_GAP = 0.003
"""Gap between built-in furniture and its neighbours, m. Chosen."""
NO_SURROUNDINGS = Surroundings(support=0.0, wall=0.0, neighbour=0.0, built_in=0.0, hand=0.0)
"""The object stands alone."""
HAND = (0.055, 0.045, 0.02)
"""Half axes of the ellipsoid that stands for a hand, m."""
FOREARM = (0.2, 0.04, 0.035)
"""Half axes of the ellipsoid that stands for a forearm, m."""
FINGERS = 0.8
"""From a hand's middle to its fingers, as a share of its half length. Chosen."""
HAND_GAP = 1.2
"""From the middle of a hand to the surface behind it, as a share of its half thickness. Chosen."""
WRIST = 0.9
"""From the hand's end to the middle of the forearm, as a share of its half length. Chosen."""
UNSEEN_WEIGHT = 1e-6
"""Weight of rays beside the object where the point for a hand is drawn: one is always found."""
ARM_RISE = 0.4
"""How steeply an arm comes towards the camera at most, as a tangent. Chosen."""


@dataclass(frozen=True)
class Situation:
    """Where n objects are, for the draws of this module.

    Attributes:
        T_camera_ground: (n, 4, 4) m, z of the ground's frame points up.
        low, high: (n, 3) box of the whole object in the ground's frame, m.
        base: (n, 2, 3) box of the base in the ground's frame, m.
        stands_against_walls: of furniture and appliances.
    """

    T_camera_ground: Tensor
    low: Tensor
    high: Tensor
    base: Tensor
    stands_against_walls: bool

    @property
    def size(self) -> Tensor:
        """(n,) diagonal of the box, m."""
        return (self.high - self.low).square().sum(-1).sqrt()


def situation(T_camera_base: Tensor, R_ground_base: Tensor, corners: Tensor, base: Tensor,
              azimuth: float) -> Situation:
    """The situation of objects.

    Args:
        T_camera_base: (n, 4, 4) m. R_ground_base: (n, 3, 3).
        corners: (n, C, 3) of the parts' boxes, camera frame, m.
        base: (n, 8, 3) corners of the base's box, base frame, m.
        azimuth: greatest one of the category, rad.
    """
    T_ground_base = make_transform(R_ground_base, torch.zeros_like(corners[:, 0]))
    T_camera_ground = T_camera_base @ invert_transform(T_ground_base)
    placed = transform_points(invert_transform(T_camera_ground), corners)
    base = transform_points(T_ground_base, base)
    return Situation(T_camera_ground, placed.amin(1), placed.amax(1),
                     torch.stack([base.amin(1), base.amax(1)], dim=1), azimuth <= pi / 2)


def add_surroundings(depth: Tensor, part: Tensor, rays: Tensor, where: Situation,
                     generator: torch.Generator, model: Surroundings = Surroundings(),
                     ) -> tuple[Tensor, Tensor]:
    """Depth and part images with what stands around the objects.

    Args:
        depth: (n, N) m, 0 where there is nothing. part: (n, N), -1 there.
        rays: (n, N, 3), z = 1, camera frame.

    Returns:
        depth (n, N) m; part (n, N): -1 where a ray meets the surroundings or nothing, ``OCCLUDER``
        where it meets a hand.
    """
    for present, lower, upper in _boxes(where, model, generator):
        rows = torch.nonzero(present)[:, 0]
        met = _meet_boxes(rays[rows], where.T_camera_ground[rows], lower[rows], upper[rows])
        depth, part = _put(depth, part, rows, met, -1)
    rows = torch.nonzero(uniform(generator, len(depth)) < model.hand)[:, 0]
    if len(rows):
        for T_camera_hand, axes in _hand(depth[rows], part[rows], rays[rows], generator):
            met = _meet_ellipsoids(rays[rows], T_camera_hand, axes)
            depth, part = _put(depth, part, rows, met, OCCLUDER)
    return depth, part


def _put(depth: Tensor, part: Tensor, rows: Tensor, met: Tensor, value: int,
         ) -> tuple[Tensor, Tensor]:
    """The images with a surface of some rows put in where it is the nearest one."""
    if len(rows) == 0:
        return depth, part
    old = depth[rows]
    # Glass of the object has no depth, and hides what is behind it all the same.
    front = (met > NEAREST) & torch.where(old > 0, met < old, part[rows] < 0)
    depth, part = depth.clone(), part.clone()
    depth[rows] = torch.where(front, met, old)
    part[rows] = torch.where(front, value, part[rows])
    return depth, part


def _boxes(where: Situation, model: Surroundings, generator: torch.Generator,
           ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Boxes in the ground's frame: which of the objects have it (n,), lower and upper corners
    (n, 3), m."""
    n = len(where.low)

    def draw(*shape: int) -> Tensor:
        return uniform(generator, n, *shape)

    built_in = draw() < (model.built_in if where.stands_against_walls else 0.0)
    size, low, high = where.size[:, None], where.low, where.high
    near, far = model.support_reach
    reach = size * (near + (far - near) * draw(4))
    lower = torch.cat([low[:, :2] - reach[:, :2], low[:, 2:] - THICK], dim=1)
    upper = torch.cat([high[:, :2] + reach[:, 2:], low[:, 2:]], dim=1)
    yield draw() < model.support, lower, upper
    yield _wall(where, draw() < model.wall, size * model.wall_gap * draw(1))
    for side in (1, -1):
        yield _neighbour(where, (draw() < model.neighbour) & ~built_in, side, draw(6), model)
    if where.stands_against_walls:
        off = model.flush * normal(generator, n)
        for number in range(4):
            yield _built_in(where, built_in & (draw() < model.built_in_side), number, off)


def _wall(where: Situation, present: Tensor, gap: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A wall behind the object, as seen from the camera, at a gap (n, 1), m, from its box."""
    camera = invert_transform(where.T_camera_ground)[:, :3, 3]
    away = where.low[:, :2] + where.high[:, :2] - 2 * camera[:, :2]
    along = torch.nn.functional.one_hot(away.abs().argmax(1), 3).bool()
    positive = (away.gather(1, away.abs().argmax(1, keepdim=True)) > 0)
    if where.stands_against_walls:  # behind its rear
        along = torch.tensor([True, False, False], device=gap.device).expand_as(along)
        positive = torch.zeros_like(positive)
    wide = torch.full_like(where.low, WALL_REACH)
    behind_high = where.high + gap
    behind_low = where.low - gap
    lower = torch.where(along, torch.where(positive, behind_high, behind_low - THICK),
                        where.low - wide)
    upper = torch.where(along, torch.where(positive, behind_high + THICK, behind_low),
                        where.high + wide)
    lower[:, 2] = where.low[:, 2]
    return present, lower, upper


def _neighbour(where: Situation, present: Tensor, side: int, draws: Tensor, model: Surroundings,
               ) -> tuple[Tensor, Tensor, Tensor]:
    """Something on the ground beside the object, in +-y or in +-x.

    Args:
        draws: (n, 6) between 0 and 1.
    """
    size, low, high = where.size, where.low, where.high
    least, most = model.neighbour_size
    dims = size[:, None] * (least + (most - least) * draws[:, :3])
    gap = size * model.neighbour_gap * draws[:, 3]
    middle = (low + high) / 2 + (draws[:, 4:5] - 0.5) * (high - low)
    lower, upper = middle - dims / 2, middle + dims / 2
    in_x = draws[:, 5] < model.neighbour_in_x
    for axis, here in ((0, in_x), (1, ~in_x)):
        start = high[:, axis] + gap if side > 0 else low[:, axis] - gap - dims[:, axis]
        lower[:, axis] = torch.where(here, start, lower[:, axis])
        upper[:, axis] = torch.where(here, start + dims[:, axis], upper[:, axis])
    lower[:, 2], upper[:, 2] = low[:, 2], low[:, 2] + dims[:, 2]
    return present, lower, upper


def _built_in(where: Situation, present: Tensor, number: int, off: Tensor,
              ) -> tuple[Tensor, Tensor, Tensor]:
    """The neighbour at the left (0), at the right (1), above (2) or below (3).

    Args:
        off: (n,) how far its front is before that of the base, m.
    """
    low, high = where.base.unbind(1)
    lower, upper = low.clone(), high.clone()
    axis = 1 if number < 2 else 2
    width = BUILT_IN_WIDTH if number < 2 else BUILT_IN_HEIGHT
    if number in (0, 2):
        lower[:, axis], upper[:, axis] = high[:, axis] + BUILT_IN_GAP, high[:, axis] + width
    else:
        lower[:, axis], upper[:, axis] = low[:, axis] - width, low[:, axis] - BUILT_IN_GAP
    if number >= 2:
        lower[:, 1], upper[:, 1] = low[:, 1] - BUILT_IN_WIDTH, high[:, 1] + BUILT_IN_WIDTH
    upper[:, 0] = upper[:, 0] + off
    return present, lower, upper


def _hand(depth: Tensor, part: Tensor, rays: Tensor, generator: torch.Generator,
          ) -> Iterator[tuple[Tensor, Tensor]]:
    """A hand before a visible point of each object, and the forearm behind it.

    Yields:
        T_camera_ellipsoid (n, 4, 4) m and the half axes (3,), m.
    """
    n = len(depth)
    weight = torch.where(part >= 0, 1.0, UNSEEN_WEIGHT)
    pick = torch.multinomial(weight, 1, generator=generator)
    z = depth.gather(1, pick).clamp_min(2 * NEAREST)
    at = rays.gather(1, pick[..., None].expand(-1, -1, 3))[:, 0] * z
    at[:, 2] -= HAND_GAP * HAND[2]
    angle = 2 * pi * uniform(generator, n)
    x = torch.stack([angle.cos(), angle.sin(), -ARM_RISE * uniform(generator, n)], dim=-1)
    x = torch.nn.functional.normalize(x, dim=-1)
    y = torch.nn.functional.normalize(torch.linalg.cross(
        torch.tensor([0.0, 0.0, 1.0], device=x.device).expand_as(x), x), dim=-1)
    R = torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)
    at = at + FINGERS * HAND[0] * x  # the fingers' tips are at the point
    yield make_transform(R, at), torch.tensor(HAND, device=x.device)
    behind = at + x * (HAND[0] + WRIST * FOREARM[0])
    yield make_transform(R, behind), torch.tensor(FOREARM, device=x.device)


def _meet_boxes(rays: Tensor, T_camera_ground: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Depths (n, N), m, at which rays (n, N, 3) enter boxes, 0 where they miss them."""
    T = invert_transform(T_camera_ground)
    direction = rays @ T[:, :3, :3].transpose(-1, -2)
    inverse = 1 / torch.where(direction.abs() < PARALLEL, PARALLEL, direction)
    first = (lower - T[:, :3, 3])[:, None] * inverse
    second = (upper - T[:, :3, 3])[:, None] * inverse
    enter, leave = torch.minimum(first, second).amax(-1), torch.maximum(first, second).amin(-1)
    return torch.where((enter < leave) & (enter > 0), enter, 0.0)


def _meet_ellipsoids(rays: Tensor, T_camera_ellipsoid: Tensor, axes: Tensor) -> Tensor:
    """Depths (n, N), m, at which rays (n, N, 3) enter ellipsoids, 0 where they miss them."""
    T = invert_transform(T_camera_ellipsoid)
    direction = (rays @ T[:, :3, :3].transpose(-1, -2)) / axes
    start = (T[:, :3, 3] / axes)[:, None]
    a, b = direction.square().sum(-1), (direction * start).sum(-1)
    root = b.square() - a * (start.square().sum(-1) - 1)
    enter = (-b - root.clamp_min(0).sqrt()) / a
    return torch.where((root > 0) & (enter > 0), enter, 0.0)
