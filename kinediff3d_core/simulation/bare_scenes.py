"""Rooms without any object: a desk, walls and boards, as a camera sees them."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import make_transform
from kinediff3d_core.simulation.families import held_out_generator
from kinediff3d_core.simulation.primitives import Primitive, primitive_depth
from kinediff3d_core.simulation.render import pixel_rays
from kinediff3d_core.simulation.sensor import apply_sensor
from kinediff3d_core.simulation.tabletop import SCENE_SENSOR, SCENES_A_SEED
from kinediff3d_core.simulation.views import TEST_CAMERA

Range = tuple[float, float]

THICKNESS = 0.005
"""Half thickness of walls, desks and boards, m. Chosen."""


@dataclass(frozen=True)
class RoomRange:
    """What rooms are drawn from; lengths in m, angles in rad. All values are chosen.

    Attributes:
        pitch: of the camera below the horizon.
        desk: depth of the desk under the camera. wall: distance of the wall along its normal.
        slant: of the wall about the vertical axis.
        boards: fewest and most boards. board: their half sizes. distance: of their centres.
        middle: where these are in the image, as a share of its sides.
        tilt: of a board against the image.
    """

    pitch: Range = (radians(10), radians(45))
    desk: Range = (0.3, 0.9)
    wall: Range = (1.0, 2.5)
    slant: Range = (-radians(40), radians(40))
    boards: tuple[int, int] = (0, 3)
    board: Range = (0.08, 0.35)
    distance: Range = (0.7, 1.4)
    middle: Range = (0.2, 0.8)
    tilt: Range = (-radians(60), radians(60))


def bare_room(seed: int, index: int, intrinsics: Intrinsics = TEST_CAMERA,
              kind: RoomRange = RoomRange()) -> np.ndarray[Any, Any]:
    """Depth image (H, W) number ``index`` of a seed, float32, m, 0 where there is none."""
    rng = np.random.default_rng([seed, index])
    rays = pixel_rays(intrinsics)
    solids = [*_structure(kind, rng), *_boards(kind, intrinsics, rng)]
    exact = torch.stack([primitive_depth(s, rays) for s in solids]).amin(0)
    exact = torch.where(exact.isfinite(), exact, 0.0)
    depth, _ = apply_sensor(exact[None], torch.full_like(exact, -1)[None].long(),
                            held_out_generator(seed * SCENES_A_SEED + index), SCENE_SENSOR)
    return np.asarray(depth[0].numpy())


def _structure(kind: RoomRange, rng: np.random.Generator) -> list[Primitive]:
    """Desk and wall."""
    level = _rotation('x', rng.uniform(*kind.pitch))  # from axes with a level z into the camera's
    below = np.array([0.0, rng.uniform(*kind.desk), 0.0])
    ahead = np.array([0.0, 0.0, rng.uniform(*kind.wall)])
    return [_plate(level @ _rotation('x', pi / 2), level @ below, (5.0, 5.0)),
            _plate(level @ _rotation('y', rng.uniform(*kind.slant)), level @ ahead, (5.0, 5.0))]


def _boards(kind: RoomRange, intrinsics: Intrinsics, rng: np.random.Generator) -> list[Primitive]:
    """Boards that float in the middle of the image."""
    boards = []
    for _ in range(rng.integers(kind.boards[0], kind.boards[1] + 1)):
        u, v = (rng.uniform(*kind.middle) * n for n in (intrinsics.width, intrinsics.height))
        ray = np.array([(u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy,
                        1.0])
        tilt = _rotation('x', rng.uniform(*kind.tilt)) @ _rotation('y', rng.uniform(*kind.tilt))
        boards.append(_plate(tilt, rng.uniform(*kind.distance) * ray,
                             (rng.uniform(*kind.board), rng.uniform(*kind.board))))
    return boards


def _plate(rotation: np.ndarray, centre: np.ndarray, half: tuple[float, float]) -> Primitive:
    """A flat box whose normal is z of its frame."""
    T: Tensor = make_transform(torch.tensor(rotation), torch.tensor(centre)).float()
    return Primitive(T, torch.tensor([*half, THICKNESS]).float())


def _rotation(axis: str, angle: float) -> np.ndarray:
    return np.asarray(Rotation.from_euler(axis, angle).as_matrix())
