"""Draws scenes in software: no screen, no OpenGL, no Open3D.

Triangles are filled into an inverse-depth buffer with :data:`FINER` samples a pixel along each
side. The picture is the mean of these samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.visualization.scene import Arrow, Colour, RenderedScene
from kinediff3d_core.visualization.virtual_camera import VirtualCamera

Array = np.ndarray[Any, Any]

FINER = 2
"""Samples a pixel, along each side."""

TRIANGLE_SAMPLES = 2_000_000
"""Samples that triangles propose at a time: it bounds the memory."""


@dataclass(frozen=True)
class Style:
    """How surfaces, edges and shadows look. All values are chosen by eye."""

    lights: tuple[tuple[tuple[float, float, float], float], ...] = (
        ((-0.35, -0.75, -0.55), 0.52), ((0.7, -0.15, -0.7), 0.16), ((0.05, -0.1, -1.0), 0.24))
    """Directions towards the lights in the virtual camera's frame, and their strengths."""
    ambient: float = 0.40
    """Light that reaches every surface."""
    gloss: float = 0.16
    """Strength of highlights."""
    crease: float = float(np.cos(np.radians(40)))
    """Cosine of the angle above which edges of a mesh are not smoothed."""
    shadow: float = 0.30
    """Share of the light that the ground loses in full shadow."""
    edge: float = 0.45
    """Brightness of pixels on edges, of their own colour."""
    depth_jump: float = 0.02
    """Relative step in depth that counts as an edge."""
    hidden_arrow: float = 0.30
    """Opacity of arrows behind a surface."""
    point_slack: float = 0.015
    """Relative depth by which a point may be behind a surface and still be drawn."""


STYLE = Style()


def render(scene: RenderedScene, camera: VirtualCamera) -> Array:
    """The picture (H, W, 3), uint8."""
    h, w = camera.height * FINER, camera.width * FINER
    image = np.ones((h, w, 3))
    if scene.ground is not None and scene.meshes:
        image *= 1 - STYLE.shadow * _shadow(scene, camera)[..., None]
    colour, inverse, label = _shade(scene.meshes, scene.colours, camera)
    hit = label >= 0
    image[hit] = colour[hit]
    image[_edges(label, inverse)] *= STYLE.edge
    if scene.arrows:
        meshes = tuple(_arrow_mesh(a, camera) for a in scene.arrows)
        colour, near, arrow = _shade(meshes, tuple(a.colour for a in scene.arrows), camera)
        drawn = arrow >= 0
        alpha = np.where(near >= inverse * 0.999, 1.0, STYLE.hidden_arrow)[..., None]
        image = np.where(drawn[..., None], alpha * colour + (1 - alpha) * image, image)
        inverse = np.where(drawn & (near > inverse), near, inverse)
    if scene.points is not None and len(scene.points):
        _draw_points(image, inverse, scene, camera)
    small = image.reshape(camera.height, FINER, camera.width, FINER, 3).mean((1, 3))
    return np.asarray((small.clip(0, 1) * 255 + 0.5).astype(np.uint8))


def _project(camera: VirtualCamera, p: Array) -> tuple[Array, Array]:
    """Fine pixel coordinates (N, 2) and depth (N,) of points in the camera's frame."""
    q = transform_points(camera.T_view_camera, np.asarray(p, dtype=np.float64))
    z = np.where(q[:, 2] > 1e-4, q[:, 2], np.nan)
    uv = (camera.focal * q[:, :2] / z[:, None] + np.array([camera.cx, camera.cy])) * FINER
    return uv, z


def _fill(camera: VirtualCamera, p: Array, faces: Array) -> tuple[Array, Array, Array]:
    """Fill triangles: inverse depth (h, w), triangle (h, w) or -1, weights of corners (h, w, 3).

    Every triangle proposes the pixels of its box whose centres it covers; of all proposals for a
    pixel the nearest stays.
    """
    h, w = camera.height * FINER, camera.width * FINER
    uv, z = _project(camera, p)
    inverse, index = np.zeros(h * w), np.full(h * w, -1)
    weights = np.zeros((h * w, 3))
    iz = 1 / z
    a, b, c = (uv[faces[:, i]] for i in range(3))
    with np.errstate(invalid='ignore'):
        low = np.ceil(np.minimum(np.minimum(a, b), c) - 0.5).clip(0, [w, h])
        high = np.floor(np.maximum(np.maximum(a, b), c) - 0.5).clip(-1, [w - 1, h - 1])
        count = (high - low + 1).clip(0)
    count = np.nan_to_num(count).astype(np.int64)
    total = count[:, 0] * count[:, 1]
    order = np.flatnonzero(total)
    ends = np.cumsum(total[order])
    cuts = np.searchsorted(ends, np.arange(TRIANGLE_SAMPLES, int(ends[-1]) if len(ends) else 0,
                                           TRIANGLE_SAMPLES))
    for chunk in np.split(order, cuts):
        if not len(chunk):
            continue
        tri = np.repeat(chunk, total[chunk])
        start = np.repeat(np.cumsum(total[chunk]) - total[chunk], total[chunk])
        offset = np.arange(len(tri)) - start
        x = low[tri, 0].astype(np.int64) + offset % count[tri, 0]
        y = low[tri, 1].astype(np.int64) + offset // count[tri, 0]
        px, py = x + 0.5 - a[tri, 0], y + 0.5 - a[tri, 1]
        (ux, uy), (vx, vy) = (b[chunk] - a[chunk]).T, (c[chunk] - a[chunk]).T
        area = ux * vy - uy * vx
        area = np.where(np.abs(area) > 1e-12, area, np.inf)
        ux, uy, vx, vy = (np.repeat(e / area, total[chunk]) for e in (ux, uy, vx, vy))
        w1, w2 = px * vy - py * vx, ux * py - uy * px
        w0 = 1 - w1 - w2
        ok = (w0 >= -1e-9) & (w1 >= -1e-9) & (w2 >= -1e-9) & (w0 < 1 + 1e-9)
        ok &= np.repeat(np.isfinite(area), total[chunk])
        tri, at = tri[ok], (y * w + x)[ok]
        bary = np.stack([w0[ok], w1[ok], w2[ok]], axis=-1) * iz[faces[tri]]
        depth = bary.sum(-1)
        np.maximum.at(inverse, at, depth)
        best = depth >= inverse[at]
        index[at[best]] = tri[best]
        weights[at[best]] = bary[best] / depth[best, None]
    return inverse.reshape(h, w), index.reshape(h, w), weights.reshape(h, w, 3)


def _corner_normals(p: Array, faces: Array) -> Array:
    """Normals (F, 3, 3) at triangle corners: smooth, but not over creases."""
    c = p[faces]
    face = np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0])
    vertex = np.zeros_like(p)
    for i in range(3):
        np.add.at(vertex, faces[:, i], face)
    face /= np.maximum(np.linalg.norm(face, axis=-1, keepdims=True), 1e-20)
    vertex /= np.maximum(np.linalg.norm(vertex, axis=-1, keepdims=True), 1e-20)
    corner = vertex[faces]
    smooth = (corner * face[:, None]).sum(-1, keepdims=True) > STYLE.crease
    return np.asarray(np.where(smooth, corner, face[:, None]))


def _shade(meshes: Sequence[Mesh], colours: Sequence[Colour], camera: VirtualCamera,
           ) -> tuple[Array, Array, Array]:
    """Colour (h, w, 3), inverse depth (h, w), mesh index (h, w) or -1."""
    h, w = camera.height * FINER, camera.width * FINER
    if not meshes:
        return np.zeros((h, w, 3)), np.zeros((h, w)), np.full((h, w), -1)
    start = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    p = np.concatenate([np.asarray(m.vertices, dtype=np.float64) for m in meshes])
    faces = np.concatenate([m.faces + s for m, s in zip(meshes, start, strict=True)])
    owner = np.repeat(np.arange(len(meshes)), [len(m.faces) for m in meshes])
    inverse, index, weights = _fill(camera, p, faces)
    hit = index >= 0
    normals = _corner_normals(p, faces)[index[hit]]
    n = (normals * weights[hit][..., None]).sum(1) @ camera.T_view_camera[:3, :3].T
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-20)
    v, u = np.nonzero(hit)
    ray = np.stack([(u / FINER - camera.cx) / camera.focal, (v / FINER - camera.cy) / camera.focal,
                    np.ones(len(u))], axis=-1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    facing = -(n * ray).sum(-1)
    n = np.where(facing[:, None] < 0, -n, n)
    light, gloss = np.full(len(n), STYLE.ambient), np.zeros(len(n))
    for direction, strength in STYLE.lights:
        d = np.array(direction) / np.linalg.norm(direction)
        light += strength * (n @ d).clip(0)
        half = d - ray
        half /= np.linalg.norm(half, axis=-1, keepdims=True)
        gloss += STYLE.gloss * strength * (n * half).sum(-1).clip(0) ** 24
    base = np.array(colours)[owner[index[hit]]]
    colour = np.zeros((h, w, 3))
    colour[hit] = (base * light[:, None] + gloss[:, None]).clip(0, 1)
    label = np.full((h, w), -1)
    label[hit] = owner[index[hit]]
    return colour, inverse, label


def _edges(label: Array, inverse: Array) -> Array:
    """Pixels (h, w) at the borders of parts and at jumps in depth, on the nearer side."""
    out = np.zeros(label.shape, dtype=bool)
    for axis in (0, 1):
        a = np.take(label, range(label.shape[axis] - 1), axis)
        b = np.take(label, range(1, label.shape[axis]), axis)
        ia = np.take(inverse, range(label.shape[axis] - 1), axis)
        ib = np.take(inverse, range(1, label.shape[axis]), axis)
        jump = (a != b) | (np.abs(ia - ib) > STYLE.depth_jump * np.maximum(ia, ib))
        near_a = ia >= ib
        first, second = (slice(None, -1), slice(1, None))
        at_a = (first, slice(None)) if axis == 0 else (slice(None), first)
        at_b = (second, slice(None)) if axis == 0 else (slice(None), second)
        out[at_a] |= jump & near_a
        out[at_b] |= jump & ~near_a
    return out & (label >= 0)


def _shadow(scene: RenderedScene, camera: VirtualCamera) -> Array:
    """Share (h, w) of the light that the meshes block from the ground, blurred."""
    assert scene.ground is not None
    n, d = scene.ground[:3], scene.ground[3]
    flat = tuple(Mesh(m.vertices - (m.vertices @ n + d)[:, None] * n, m.faces)
                 for m in scene.meshes)
    start = np.cumsum([0] + [len(m.vertices) for m in flat[:-1]])
    p = np.concatenate([m.vertices for m in flat])
    faces = np.concatenate([m.faces + s for m, s in zip(flat, start, strict=True)])
    coarse = 4
    small = replace(camera, focal=camera.focal / coarse, cx=camera.cx / coarse,
                    cy=camera.cy / coarse, width=-(-camera.width // coarse),
                    height=-(-camera.height // coarse))
    _, index, _ = _fill(small, p, faces)
    covered = (index >= 0).astype(np.float64)
    width = 0.012 * small.width * FINER
    soft = 0.6 * gaussian_filter(covered, width) + 0.4 * gaussian_filter(covered, 3 * width)
    soft = zoom(soft, coarse, order=1, grid_mode=True, mode='nearest')
    return np.asarray(soft[:camera.height * FINER, :camera.width * FINER])


def _arrow_mesh(arrow: Arrow, camera: VirtualCamera, sides: int = 20) -> Mesh:
    """A shaft and a tip, with a thickness that suits the picture."""
    start, end = np.asarray(arrow.start, float), np.asarray(arrow.end, float)
    along = end - start
    length = float(np.linalg.norm(along))
    along = along / max(length, 1e-12)
    depth = float(transform_points(camera.T_view_camera, (start + end)[None] / 2)[0, 2])
    radius = min(2.6 * abs(depth) / camera.focal, 0.03 * length)
    side = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    side /= np.linalg.norm(side)
    other = np.cross(along, side)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other
    head = min(9 * radius, 0.4 * length)
    profile = ((0.0, 0.0), (0.0, radius), (length - head, radius), (length - head, 3.2 * radius),
               (length, 0.0))
    p = np.concatenate([start + s * along + r * ring for s, r in profile])
    faces = []
    for i in range(len(profile) - 1):
        for j in range(sides):
            a, b = i * sides + j, i * sides + (j + 1) % sides
            faces += [(a, b, a + sides), (b, b + sides, a + sides)]
    return Mesh(p, np.array(faces))


def _draw_points(image: Array, inverse: Array, scene: RenderedScene, camera: VirtualCamera,
                 ) -> None:
    """Draw points as discs, except where a mesh hides them."""
    assert scene.points is not None
    uv, z = _project(camera, scene.points)
    colours = np.broadcast_to(np.asarray(scene.point_colours, dtype=np.float64),
                              (len(scene.points), 3))
    h, w = inverse.shape
    ahead = np.isfinite(z)
    uv, z, colours = uv[ahead], z[ahead], colours[ahead]
    if not len(z):
        return
    area = np.prod(np.ptp(uv, axis=0))
    radius = float(np.clip(0.30 * np.sqrt(area / len(uv)), 0.8 * FINER, 1.7 * FINER))
    reach = int(np.ceil(radius))
    far_first = np.argsort(-z, kind='stable')
    uv, z, colours = uv[far_first], z[far_first], colours[far_first]
    inside = ((uv > reach) & (uv < np.array([w, h]) - reach - 1)).all(-1)
    uv, z, colours = uv[inside], z[inside], colours[inside]
    u, v = uv.round().astype(np.int64).T
    seen = 1 / z >= inverse[v, u] * (1 - STYLE.point_slack)
    u, v, colours = u[seen], v[seen], colours[seen]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                image[v + dy, u + dx] = colours[:]
