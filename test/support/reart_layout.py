"""Writes procedural objects in the published layout of ReArtMix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.spatial import ConvexHull
from stated_models import Stated, state

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import render_depth

Array = np.ndarray[Any, Any]

CAMERA = Intrinsics(300.0, 299.0, 160.5, 118.5, 320, 240)
IDS = {'box': (1, 'box'), 'stapler': (2, 'stapler'), 'cutter': (3, 'cutter'),
       'drawer': (4, 'drawer'), 'scissors': (5, 'scissor')}
"""``category_id`` and ``category_name``."""
X_AND_Z = {'box': ((1, 0, 0), (0, 0, 1)), 'stapler': ((0, 1, 0), (0, 0, 1)),
           'cutter': ((0, -1, 0), (0, 0, 1)), 'drawer': ((0, -1, 0), (0, 0, 1)),
           'scissors': ((0, 1, 0), (0, 0, -1))}
"""Canonical x and z in the frames of ReArt-48's models."""
STORED = {'box': np.pi, 'stapler': np.radians(150), 'cutter': 0.05, 'drawer': 0.0,
          'scissors': np.pi / 2}
"""Joint positions at which ReArt-48's models are stored."""


@dataclass(frozen=True)
class Written:
    """An instance of a frame: what was written, and its pixels (H, W)."""

    stated: Stated
    mask: Array
    depth: Array


def camera_pose(distance: float, seed: int) -> Array:
    """A base in front of the camera, tilted towards it."""
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = [[0, 1, 0], [0.5, 0, -0.75 ** 0.5], [-0.75 ** 0.5, 0, -0.5]]
    turn, angle = np.eye(3), rng.uniform(-1, 1)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    T[:3, :3] = T[:3, :3] @ turn
    T[:3, 3] = (*rng.uniform(-0.03, 0.03, 2), distance)
    return T


def model_frame(category: str) -> Array:
    """T_model_base of a category, beside the model's origin."""
    x, z = np.array(X_AND_Z[category], dtype=np.float64)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(z, x), z], axis=-1)
    T[:3, 3] = (0.01, -0.02, 0.03)
    return T


def instance(category: str, seed: int, scale: float = 0.8, distance: float = 0.7) -> Written:
    """An object, stated as ReArt-48's are, and its image."""
    one = sample_instances(category, 1, held_out_generator(seed))
    stated = state(one, seed, model_frame(category), scale, STORED[category],
                   camera_pose(distance, seed))
    q = torch.zeros(1, len(one.category.joints))
    q[0, :len(stated.truth.positions)] = torch.from_numpy(stated.truth.positions)
    base = torch.from_numpy(stated.truth.T_camera_part[:1]).float()
    depth, part = render_depth(one, q, base, CAMERA)
    return Written(stated, part[0].numpy(), depth[0].numpy())


def uncycled(v: Array) -> list[float]:
    """The stored triple of a vector in the model's frame."""
    out = np.empty(3)
    out[[1, 2, 0]] = v
    return [float(x) for x in out]


def meta(written: Written, number: int) -> dict[str, Any]:
    """The entry of ``urdf_metas.json`` of an object."""
    model = written.stated.model
    joints = sorted(model.joints, key=lambda j: j.child)
    sign = -1 if model.category.name == 'cutter' else 1  # Its axis points into the handle.
    boxes = [np.stack([p.min(0), p.max(0)]) for p in model.points]
    whole = np.stack([np.min(boxes, axis=(0, 1)), np.max(boxes, axis=(0, 1))])
    return {'id': number, 'category_name': IDS[model.category.name][1],
            'link_names': [f'link{k}' for k in range(len(boxes))],
            'norm_factors': [1 / float(np.linalg.norm(b[1] - b[0])) for b in (whole, *boxes)],
            'corner_pts': [[[b[0].tolist()], [b[1].tolist()]] for b in (whole, *boxes)],
            'joint_types': [j.joint_type for j in joints],
            'joint_parents': [1 for _ in joints],
            'joint_children': [j.child + 1 for j in joints],
            'joint_xyz': [uncycled(np.asarray(j.origin)) for j in joints],
            'joint_rpy': [uncycled(sign * np.asarray(j.axis)) for j in joints]}


def annotation(written: Sequence[Written], numbers: Sequence[int], path: str) -> dict[str, Any]:
    """The annotation of a frame; the last link of each instance comes first."""
    instances = []
    for w, number in zip(written, numbers, strict=True):
        links = []
        for k, T in enumerate(w.stated.T_camera_model):
            scaled = T.copy()
            scaled[:3, :3] *= w.stated.scale
            links.append({'id': k, 'link_category_id': k + 1, 'transformation': scaled.tolist(),
                          'segmentation': outlines(w.mask == k)})
        instances.append({'category_id': IDS[w.stated.model.category.name][0], 'urdf_id': number,
                          'links': links[::-1]})
    return {'width': CAMERA.width, 'height': CAMERA.height, 'depth_path': f'{path}.png',
            'color_path': f'{path}.jpg', 'instances': instances}


def outlines(mask: Array) -> list[list[float]]:
    """The convex outline of pixels, as a list of polygons; empty where there are too few."""
    v, u = np.nonzero(mask)
    if len(u) < 10:
        return []
    points = np.stack([u, v], -1)
    return [points[ConvexHull(points).vertices].astype(float).ravel().tolist()]


def write_root(root: Path, metas: Sequence[dict[str, Any]]) -> None:
    """Write the camera and the models."""
    root.mkdir(parents=True, exist_ok=True)
    c = CAMERA
    (root / 'camera_intrinsic.json').write_text(json.dumps({
        'width': c.width, 'height': c.height,
        'intrinsic_matrix': [c.fx, 0, 0, 0, c.fy, 0, c.cx, c.cy, 1]}))
    (root / 'urdf_metas.json').write_text(json.dumps({'urdf_path': 'x',
                                                      'urdf_metas': [*metas, []]}))


def write_frame(folder: Path, path: str, written: Sequence[Written], numbers: Sequence[int],
                ) -> Path:
    """Write the annotation and the depth of a frame ``<scene>/<number>``; the nearest is seen."""
    depth = np.stack([np.where(w.depth > 0, w.depth, np.inf) for w in written]).min(0)
    image = np.where(np.isfinite(depth), np.round(1000 * depth), 0).astype(np.uint16)
    file = folder / 'annotations' / f'{path}.json'
    for target in (file, folder / 'depth' / f'{path}.png'):
        target.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(annotation(written, numbers, path)))
    Image.fromarray(image).save(folder / 'depth' / f'{path}.png')
    return file
