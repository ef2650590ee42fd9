"""Scenes of several objects and clutter on a table or on the floor, as a real camera sees them.

Procedural objects stand on their support side beside boxes, balls and arms, in front of a wall.
The depth image has what registered depth has: margins without depth, holes, and no return from
grazing surfaces. Scene i of a seed is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi, radians, sin
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.primitives import Primitive, primitive_depth
from kinediff3d_core.simulation.render import pixel_rays, render_depth
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.views import TEST_CAMERA, posed_corners, state_range

Array = np.ndarray[Any, Any]
Range = tuple[float, float]

SCENES_A_SEED = 100_003
"""Two seeds share no scene whose number is below this."""
SCENE_SENSOR = SensorModel(occluded=0.0, mask_error=0)
"""Sensor of scenes: what hides objects is in the scene, and ids are exact."""
PLATE = 0.03
"""Thickness of table tops, walls and floors, m. Chosen."""


@dataclass(frozen=True)
class SceneRange:
    """What scenes are drawn from; lengths in m, angles in rad. All values are chosen.

    Attributes:
        categories: of which objects are drawn.
        objects: fewest and most objects.
        clutter: fewest and most boxes and balls.
        clutter_size: half sizes of boxes, radii of balls.
        support: half sizes of the table top or floor.
        floor: depth of the floor under the support; 0 where the support is the floor.
        wall: distance of the wall from the support's edge.
        distance: of the camera from the point it looks at. elevation: of the camera.
        spread: half sizes of the square around the support's centre where things stand.
    """

    categories: tuple[str, ...]
    objects: tuple[int, int]
    clutter: tuple[int, int]
    clutter_size: Range
    support: Range
    floor: float
    wall: Range
    distance: Range
    spread: Range
    elevation: Range = (radians(25), radians(65))


TABLE = SceneRange(('laptop', 'eyeglasses', 'scissors', 'box', 'stapler', 'cutter'), (1, 6),
                   (0, 4), (0.02, 0.08), (0.25, 0.8), 0.7, (0.0, 1.0), (0.55, 1.1), (0.2, 0.4))
"""Small objects on a table."""
FLOOR = SceneRange(('dishwasher', 'drawer', 'box'), (1, 3), (0, 3), (0.05, 0.25), (2.0, 3.0), 0.0,
                   (0.0, 0.5), (1.8, 3.0), (0.7, 1.2))
"""Furniture on the floor."""

FLOOR_SHARE = 0.2
"""Share of the scenes on the floor. Chosen."""
WALL_SHARE = 0.6
"""Share of the scenes with a wall behind the support. Chosen."""
ARM_SHARE = 0.25
"""Share of the scenes in which an arm reaches to one of the objects. Chosen."""
ARM = (0.6, 0.045, 60)
"""Length and radius of an arm, m, and the number of balls that it consists of. Chosen."""
ARM_GAP = 0.01
"""The hand ends this far above the object's box, m. Chosen."""
MARGIN_SHARE = 0.5
"""Share of the images with margins without depth, as registration to colour leaves. Chosen."""
MARGIN = 0.15
"""Greatest margin without depth, as a share of the image's side. Chosen."""
GRAZING = (radians(70), radians(85))
"""Incidence from which on a surface gives no return, drawn for each image, rad. Chosen."""
ROLL = radians(8)
"""Largest rotation of the camera about its optical axis, rad. Chosen."""
GAP = 0.03
"""Least gap between the boxes around two things, m. Chosen."""
AIM = 0.1
"""Largest distance of the optical axis from the centre, in scene spreads. Chosen."""
PLACES = 30
"""Places that are tried for a thing before it is left out. Chosen."""
LEAST_PIXELS = 300
"""A visible thing has at least this many pixels; smaller remainders belong to the background.
Chosen."""


@dataclass(frozen=True)
class PlacedObject:
    """One of our objects in a scene.

    Attributes:
        instances: one object.
        positions: (1, K-1) joint positions, rad or m.
        T_world_base: (4, 4) m.
    """

    instances: Instances
    positions: Tensor
    T_world_base: Tensor


@dataclass(frozen=True)
class Scene:
    """What stands where.

    Attributes:
        clutter: boxes, balls and arms. structure: support, floor and wall; both in world
            coordinates, m.
        T_camera_world: (4, 4) m.
    """

    objects: tuple[PlacedObject, ...]
    clutter: tuple[Primitive, ...]
    structure: tuple[Primitive, ...]
    T_camera_world: Tensor


@dataclass(frozen=True)
class SceneView:
    """One image of a scene with its truth.

    Attributes:
        depth: (H, W) float32, m, 0 where there is none.
        ids: (H, W) int64: 0 for table, floor and walls, 1 to n for the objects in their order,
            and higher ones for clutter.
        objects: n objects. T_camera_world: (4, 4) m.
        visible: share of each object's silhouette, also outside of the image, that has depth.
    """

    depth: Array
    ids: Array
    objects: tuple[PlacedObject, ...]
    visible: tuple[float, ...]
    T_camera_world: Array
    intrinsics: Intrinsics

    @property
    def categories(self) -> tuple[str, ...]:
        """Of the objects, by id from 1 on."""
        return tuple(o.instances.category.name for o in self.objects)


def scene_view(seed: int, index: int, intrinsics: Intrinsics = TEST_CAMERA,
               kind: SceneRange | None = None) -> SceneView:
    """Image number ``index`` of a seed: a scene on a table, or one in five on the floor.

    Args:
        kind: draw from this range instead.
    """
    rng = np.random.default_rng([seed, index])
    generator = held_out_generator(seed * SCENES_A_SEED + index)
    return render_scene(_scene(rng, generator, kind), intrinsics, rng, generator)


def sample_scene(seed: int, index: int, kind: SceneRange | None = None) -> Scene:
    """What :func:`scene_view` shows, so that something in it can be moved or taken away."""
    return _scene(np.random.default_rng([seed, index]),
                  held_out_generator(seed * SCENES_A_SEED + index), kind)


def render_scene(scene: Scene, intrinsics: Intrinsics, rng: np.random.Generator,
                 generator: torch.Generator) -> SceneView:
    """Image of a scene; the sensor's noise is drawn."""
    layers, sizes = _object_layers(scene.objects, scene.T_camera_world, intrinsics)
    depth, ids = _as_measured(
        *_composed(layers, scene.clutter, scene.structure, scene.T_camera_world, intrinsics),
        intrinsics, rng, generator)
    seen = np.bincount(ids[depth > 0], minlength=len(scene.objects) + 1)[1:]
    return SceneView(depth, ids, scene.objects,
                     tuple(float(n / max(size, 1)) for n, size in zip(seen, sizes, strict=False)),
                     scene.T_camera_world.double().numpy(), intrinsics)


def _scene(rng: np.random.Generator, generator: torch.Generator, kind: SceneRange | None) -> Scene:
    on_floor = rng.random() < FLOOR_SHARE
    kind = kind or (FLOOR if on_floor else TABLE)
    azimuth = rng.uniform(-pi / 3, pi / 3)
    spread = rng.uniform(*kind.spread)
    objects, clutter = _things(kind, spread, azimuth, rng, generator)
    T_camera_world = _camera(kind, spread, azimuth, rng)
    return Scene(tuple(objects), tuple(clutter), tuple(_structure(kind, rng)), T_camera_world)


def _things(kind: SceneRange, spread: float, azimuth: float, rng: np.random.Generator,
            generator: torch.Generator) -> tuple[list[PlacedObject], list[Primitive]]:
    """Objects, and clutter beside them, none in another's place.

    Args:
        spread: half size of the square in which they stand, m. azimuth: of the camera, rad.
    """
    objects: list[PlacedObject] = []
    boxes: list[Array] = []
    for _ in range(rng.integers(kind.objects[0], kind.objects[1] + 1)):
        name = kind.categories[rng.integers(len(kind.categories))]
        one = sample_instances(name, 1, generator)
        low, high = state_range(one)
        q = low + (high - low) * torch.rand(low.shape, generator=generator)
        # The front (+x) towards the camera, which stands at -y, as far as the category asks.
        yaw = -pi / 2 + azimuth + rng.uniform(-1, 1) * one.category.azimuth
        T = _pose(0.0, 0.0, -float(one.bounds[0, 0, 0, 2]), yaw)
        corners = posed_corners(one, q, T[None])[0][one.exists[0].repeat_interleave(8)].numpy()
        place = _free_place(corners, boxes, spread, rng)
        if place is not None:
            T[:2, 3] += torch.from_numpy(place).float()
            objects.append(PlacedObject(one, q, T))
    solids: list[Primitive] = []
    for _ in range(rng.integers(kind.clutter[0], kind.clutter[1] + 1)):
        solid, corners = _clutter(kind, rng)
        place = _free_place(corners, boxes, spread, rng)
        if place is not None:
            solid.T[:2, 3] += torch.from_numpy(place).float()
            solids.append(solid)
    if boxes and rng.random() < ARM_SHARE:
        solids.append(_arm(boxes[rng.integers(len(boxes))], azimuth, rng))
    return objects, solids


def _free_place(corners: Array, boxes: list[Array], spread: float, rng: np.random.Generator,
                ) -> Array | None:
    """Where (2,) a thing can stand; its box is appended to the others. None if nowhere.

    Args:
        corners: (N, 3) of the thing at the origin. boxes: (2, 3) each, m.
    """
    box = np.stack([corners.min(0), corners.max(0)]).astype(np.float64)
    for _ in range(PLACES):
        shift = np.append(rng.uniform(-spread, spread, 2), 0.0)
        moved = box + shift
        if all((moved[0] > b[1] + GAP)[:2].any() or (moved[1] < b[0] - GAP)[:2].any()
               for b in boxes):
            boxes.append(moved)
            return shift[:2]
    return None


def _clutter(kind: SceneRange, rng: np.random.Generator) -> tuple[Primitive, Array]:
    """A box or ball that stands at the origin, and its corners."""
    if rng.random() < 0.5:
        half = rng.uniform(*kind.clutter_size, 3)
        T = _pose(0.0, 0.0, half[2], rng.uniform(-pi, pi))
        signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
        return Primitive(T, torch.tensor(half).float()), signs * half @ T[:3, :3].numpy().T
    radius = rng.uniform(*kind.clutter_size)
    solid = Primitive(_pose(0.0, 0.0, radius, 0.0), None, torch.zeros(1, 3),
                      torch.tensor([radius]))
    return solid, radius * np.array([[-1.0, -1, 0], [1, 1, 0]])


def _arm(box: Array, azimuth: float, rng: np.random.Generator) -> Primitive:
    """An arm that reaches from the side of the camera to a point above a thing's box (2, 3)."""
    length, radius, count = ARM
    hand = np.append(rng.uniform(box[0, :2], box[1, :2]), box[1, 2] + radius + ARM_GAP)
    heading = azimuth - pi / 2 + rng.uniform(-1, 1) * pi / 2
    slope = rng.uniform(0, pi / 4)
    away = np.array([cos(heading) * cos(slope), sin(heading) * cos(slope), sin(slope)])
    centres = hand + np.linspace(0, length, count)[:, None] * away
    return Primitive(torch.eye(4), None, torch.tensor(centres).float(),
                     torch.full((count,), radius))


def _structure(kind: SceneRange, rng: np.random.Generator) -> list[Primitive]:
    """Support, floor and wall."""
    half = rng.uniform(*kind.support, 2)
    plates = [Primitive(_pose(0.0, 0.0, -PLATE, 0.0), torch.tensor([*half, PLATE]).float())]
    if kind.floor:
        plates.append(Primitive(_pose(0.0, 0.0, -kind.floor - PLATE, 0.0),
                            torch.tensor([5.0, 5.0, PLATE])))
    if rng.random() < WALL_SHARE:
        y = half[1] + rng.uniform(*kind.wall) + PLATE
        plates.append(Primitive(_pose(0.0, y, 0.0, 0.0), torch.tensor([5.0, PLATE, 3.0])))
    return plates


def _camera(kind: SceneRange, spread: float, azimuth: float, rng: np.random.Generator) -> Tensor:
    """T_camera_world (4, 4) of a camera that looks at the scene's middle."""
    elevation, distance = rng.uniform(*kind.elevation), rng.uniform(*kind.distance)
    roll = rng.uniform(-1, 1) * ROLL
    back = np.array([sin(azimuth) * cos(elevation), -cos(azimuth) * cos(elevation),
                     sin(elevation)])
    z = -back
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    R = np.stack([cos(roll) * x + sin(roll) * y, cos(roll) * y - sin(roll) * x, z])
    target = np.append(rng.uniform(-AIM, AIM, 2) * spread, 0.0)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor(R)
    T[:3, 3] = torch.tensor(-R @ (target + distance * back))
    return T


def _pose(x: float, y: float, z: float, yaw: float) -> Tensor:
    T = torch.eye(4)
    T[0, 0] = T[1, 1] = cos(yaw)
    T[1, 0], T[0, 1] = sin(yaw), -sin(yaw)
    T[:3, 3] = torch.tensor([x, y, z])
    return T


def _object_layers(objects: Sequence[PlacedObject], T_camera_world: Tensor, intrinsics: Intrinsics,
                   ) -> tuple[list[Tensor], list[int]]:
    """Exact depth (H, W) of each object alone, infinite beside it, and its number of pixels.

    The number also counts pixels outside of the image, up to half of its size away. Glass that
    gives no depth shows what is behind the object.
    """
    v, u = intrinsics.height // 2, intrinsics.width // 2
    wide = replace(intrinsics, cx=intrinsics.cx + u, cy=intrinsics.cy + v,
                   width=intrinsics.width + 2 * u, height=intrinsics.height + 2 * v)
    layers, sizes = [], []
    for one in objects:
        depth, _ = render_depth(one.instances, one.positions,
                                (T_camera_world @ one.T_world_base)[None], wide)
        inner = depth[0, v:v + intrinsics.height, u:u + intrinsics.width]
        layers.append(torch.where(inner > 0, inner, torch.inf))
        sizes.append(int((depth > 0).sum()))
    return layers, sizes


def _composed(layers: list[Tensor], clutter: Sequence[Primitive],
              structure: Sequence[Primitive], T_camera_world: Tensor, intrinsics: Intrinsics,
              ) -> tuple[Tensor, Tensor]:
    """Exact depth (H, W), 0 where there is nothing, and ids (H, W).

    Args:
        layers: depth images of the objects.
    """
    rays = pixel_rays(intrinsics)
    solids = [replace(s, T=T_camera_world @ s.T) for s in (*clutter, *structure)]
    nearest, index = torch.stack([*layers, *(primitive_depth(s, rays) for s in solids)]).min(0)
    seen = nearest.isfinite()
    ids = torch.where(seen & (index < len(layers) + len(clutter)), index + 1, 0)
    return torch.where(seen, nearest, 0.0), ids


def _as_measured(exact: Tensor, ids: Tensor, intrinsics: Intrinsics, rng: np.random.Generator,
                 generator: torch.Generator) -> tuple[Array, Array]:
    """Depth (H, W) as a camera measures it, and ids (H, W) of what is seen of things."""
    lost = _incidence(exact, pixel_rays(intrinsics)) > rng.uniform(*GRAZING)
    noisy, _ = apply_sensor(torch.where(lost, 0.0, exact)[None], ids[None] - 1, generator,
                            SCENE_SENSOR)
    depth = noisy[0].numpy()
    if rng.random() < MARGIN_SHARE:
        height, width = depth.shape
        top, bottom = (rng.uniform(0, MARGIN, 2) * height).astype(int)
        left, right = (rng.uniform(0, MARGIN, 2) * width).astype(int)
        inner = np.zeros(depth.shape, dtype=bool)
        inner[top:height - bottom, left:width - right] = True
        depth = np.where(inner, depth, np.float32(0))
    count = np.bincount(np.where(depth > 0, ids.numpy(), 0).ravel(), minlength=int(ids.max()) + 1)
    return depth, np.where((count >= LEAST_PIXELS)[ids.numpy()], ids.numpy(), 0)


def _incidence(depth: Tensor, rays: Tensor) -> Tensor:
    """Angle (H, W) between the ray and the surface's normal, rad; 0 at depth edges.

    The normal is that of the pixel's neighbours to the right and below.
    """
    points = depth[..., None] * rays
    right = torch.zeros_like(points)
    down = torch.zeros_like(points)
    right[:, :-1] = points[:, 1:] - points[:, :-1]
    down[:-1] = points[1:] - points[:-1]
    normal = torch.linalg.cross(right, down)
    length = normal.norm(dim=-1) * points.norm(dim=-1)
    cosine = (normal * points).sum(-1).abs() / length.clamp_min(1e-20)
    edge = (right[..., 2].abs() > SCENE_SENSOR.edge_jump * 3) | (
        down[..., 2].abs() > SCENE_SENSOR.edge_jump * 3)
    return torch.where(edge | (length == 0), 0.0, torch.arccos(cosine.clamp(0, 1)))
