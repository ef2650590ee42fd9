"""ArtImage (Xue et al., OMAD, BMVC 2021), as published (docs/datasets.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from math import degrees, radians
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.datasets.annotated_samples import annotated_samples
from kinediff3d_core.data.datasets.artimage_model import (
    METRES,
    PARTS,
    UP,
    ArtImageModel,
    read_model,
)
from kinediff3d_core.data.datasets.canonical import rigid_and_scale
from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.datasets.polygons import polygon_mask
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.point_surfaces import mesh_of_points
from kinediff3d_core.io.camera_info import read_camera_info
from kinediff3d_core.io.depth import DEPTH_KINDS, depth_in_metres
from kinediff3d_core.io.files import checked_file
from kinediff3d_core.io.images import read_pixels

Array = np.ndarray[Any, Any]

TEST_IDS = frozenset((
    10040, 10885, 11242, 11030, 11156, 101300, 101859, 102586, 102590, 102596, 102612, 11700,
    12530, 12559, 12580, 46123, 45841, 46440, 10449, 10502, 10569, 10907))
"""Objects of the test split, as in the data set's own loader."""
STATE_DEG, STATE_M = 1.0, 0.01
"""Largest difference between an annotated state and that of the poses, degrees and m. Chosen."""
SAME_SCALE = 0.01
"""Largest relative difference between the scales of an object's links, and from 1. Chosen."""
OUTSIDE_POLYGONS = 0.1
"""Largest share of the depth in the box that may lie outside the polygons. Chosen."""
MODELS = 32
"""Objects that are kept in memory. Chosen."""


class ArtImage:
    """One split of ArtImage; a :class:`kinediff3d_core.data.datasets.dataset.Dataset`.

    Objects are scaled by :data:`METRES`. Names of views are ``<category>/<number>``, of objects
    ``<category>/<urdf_id>``.
    """

    splits: tuple[str, ...] = ('test', 'train')

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root, self.split = root, split or self.splits[0]
        if self.split not in self.splits:
            raise ValueError(f'ArtImage has the splits {", ".join(self.splits)}, not {split!r}')
        self.intrinsics = read_camera_info(root / 'camera_intrinsic.json')
        self._model = lru_cache(MODELS)(self._read_model)
        self._urdf_ids = lru_cache(None)(self._read_urdf_ids)
        if not self.categories:
            raise ValueError(f'{root} has no <category>/{self.split}.txt of '
                             f'{", ".join(PARTS)}, as ArtImage has')

    @property
    def left_out(self) -> tuple[str, ...]:
        """One line for each category with views that only the list puts into the split."""
        counts = {c: len(self._listed(c)) - len(self._urdf_ids(c)) for c in self.categories}
        return tuple(f'{c}: {n} views of {c}/{self.split}.txt show an object of the other split'
                     for c, n in counts.items() if n)

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories that are there."""
        return tuple(c for c in PARTS if (self.root / c / f'{self.split}.txt').is_file())

    def views(self, category: str) -> Sequence[str]:
        """Names of the views: those that the list and the objects' ids both put into the split."""
        return list(self._urdf_ids(category))

    def objects(self, category: str) -> Sequence[str]:
        """Names of the objects of the views."""
        found = sorted({i for i in self._urdf_ids(category).values() if i is not None})
        return [f'{category}/{i}' for i in found]

    def read_view(self, name: str) -> DatasetView:
        """Read one view; see :class:`kinediff3d_core.data.datasets.dataset.Dataset`."""
        category, number = self._split_name(name)
        folder = self.root / category / 'train'
        path = folder / 'annotations' / f'{number}.json'
        annotation = read_json(path, dict)
        try:
            instance = _one_instance(annotation, category)
            model = self._model(category, int(instance['urdf_id']))
            depth, mask, notes = self._image(folder, annotation, instance)
            T, scale = _poses(instance['links'], category)
            truth = model.truth(T, scale)
            notes += _state_notes(model, instance['links'], truth.positions)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f'{path} has no valid {error}') from error
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error
        if abs(scale - 1) > SAME_SCALE:
            notes.append(f'the poses scale the model by {scale:.3f}')
        if category != 'scissors' and (T[0, :3, :3] @ UP)[1] > 0:
            notes.append('the upward direction of the model points down in the image')
        metres = METRES[category]
        return DatasetView(name, metres * depth, mask, self.intrinsics, truth, (
            f'1 unit is taken as {metres:g} m', *model.notes, *notes), metres)

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """See :class:`kinediff3d_core.data.datasets.dataset.Dataset`.

        Distances are to triangles between the points.
        """
        category, number = self._split_name(name)
        model = self._model(category, int(number))
        try:
            meshes = tuple(mesh_of_points(p) for p in model.points)
        except ValueError as error:
            raise ValueError(f'{self.root / category / "urdf" / number}: {error}') from error
        found = model.canonical
        obj = MeshObject(name, category, found.part_names, found.joints, meshes,
                         found.origin)
        own = [view for view, i in self._urdf_ids(category).items() if i == int(number)]
        return annotated_samples(obj, own, self.read_view, views, generator)

    def _split_name(self, name: str) -> tuple[str, str]:
        category, _, rest = name.partition('/')
        if category not in PARTS or not re.fullmatch(r'[\w.-]+', rest):
            raise ValueError(f'{name!r} is no view or object of ArtImage: <category>/<number>')
        return category, rest

    def _read_model(self, category: str, urdf_id: int) -> ArtImageModel:
        return read_model(self.root / category / 'urdf' / str(urdf_id), category)

    def _read_urdf_ids(self, category: str) -> dict[str, int | None]:
        """Object of each view; None where its annotation cannot be read, which reading reports."""
        found: dict[str, int | None] = {}
        for file in self._listed(category):
            try:
                text = (self.root / category / 'train' / 'annotations' / file).read_text('utf-8')
            except (OSError, UnicodeDecodeError):
                text = ''
            match = re.search(r'"urdf_id"\s*:\s*"?(\d+)', text)
            urdf_id = int(match[1]) if match else None
            if urdf_id is None or (urdf_id in TEST_IDS) == (self.split == 'test'):
                found[f'{category}/{file.removesuffix(".json")}'] = urdf_id
        return found

    def _listed(self, category: str) -> list[str]:
        """Annotation files of the split's list, in order."""
        path = checked_file(self.root / category / f'{self.split}.txt', 'list of views')
        files = sorted({line.strip() for line in path.read_text('utf-8').splitlines()} - {''})
        wrong = [file for file in files if not re.fullmatch(r'[\w-]+\.json', file)]
        if wrong:
            raise ValueError(f'{path} lists {wrong[0]!r}, expected names like 1.json')
        return files

    def _image(self, folder: Path, annotation: dict[str, Any], instance: dict[str, Any],
               ) -> tuple[Array, Array, list[str]]:
        """Depth (H, W) in the data set's unit, mask (H, W) and notes."""
        depth = _read_depth(folder, annotation['depth_path'])
        wanted = (self.intrinsics.height, self.intrinsics.width)
        if depth.shape != wanted:
            raise ValueError(f'the depth image is {depth.shape[::-1]}, the camera '
                             f'{wanted[::-1]} (width, height)')
        x1, y1, x2, y2 = (max(int(v), 0) for v in instance['bbox'])
        box = np.zeros(depth.shape, dtype=bool)
        box[y1:y2, x1:x2] = depth[y1:y2, x1:x2] > 0
        if not box.any():
            raise ValueError(f'the depth image is empty in the box {instance["bbox"]}')
        polygons = [p for link in instance['links'] for p in link.get('segmentation') or ()]
        if not polygons:
            return depth, box, []
        mask = box & polygon_mask(polygons, wanted)
        outside = 1 - float(mask.sum() / box.sum())
        if outside <= OUTSIDE_POLYGONS:
            return depth, box, []
        return depth, mask, [f'{outside:.0%} of the depth in the box lies outside the polygons, '
                             'which are taken as the mask']


def _one_instance(annotation: dict[str, Any], category: str) -> dict[str, Any]:
    instances = annotation['instances']
    if len(instances) != 1:
        raise ValueError(f'{len(instances)} instances, expected 1')
    links = [int(link['link_category_id']) for link in instances[0]['links']]
    if sorted(links) != list(range(PARTS[category])):
        raise ValueError(f'the links have the link_category_id {links}, expected each of 0 to '
                         f'{PARTS[category] - 1} once')
    found: dict[str, Any] = instances[0]
    return found


def _read_depth(folder: Path, relative: str) -> Array:
    """Depth (H, W) in the data set's unit of a 16-bit image, or of one whose green channel holds
    the upper and whose red channel the lower bits."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f'depth_path {relative!r} lies outside {folder}')
    pixels = read_pixels(path, 'depth image', DEPTH_KINDS)
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = 256 * pixels[..., 1].astype(np.uint16) + pixels[..., 0]
    return depth_in_metres(pixels)


def _poses(links: Sequence[dict[str, Any]], category: str) -> tuple[Array, float]:
    """Rigid poses (P, 4, 4) of the parts, m, and the scale of the object."""
    T, scales = np.zeros((PARTS[category], 4, 4)), np.zeros(PARTS[category])
    for link in links:
        k = int(link['link_category_id'])
        pose = np.asarray(link['transformation'], dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise ValueError(f'transformation of link {k} is not 4 x 4 finite numbers')
        T[k], scales[k] = rigid_and_scale(pose)
    if np.ptp(scales) > SAME_SCALE * scales[0]:
        raise ValueError(f'the links have different scales: {scales.round(4).tolist()}')
    T[:, :3, 3] *= METRES[category]
    return T, float(scales.mean())


def _state_notes(model: ArtImageModel, links: Sequence[dict[str, Any]], positions: Array,
                 ) -> list[str]:
    """Notes on states that are not those of the poses."""
    states = {int(link['link_category_id']): link.get('state') for link in links}
    notes = []
    if states[0] is not None and all(states[k] is None for k in model.canonical.parts[1:]):
        notes.append('only the base has a state: its link and that of the other part may be '
                     'exchanged')
    for i, joint in enumerate(model.canonical.joints):
        state = states[model.canonical.parts[joint.child]]
        if state is None:
            continue
        revolute = joint.joint_type == 'revolute'
        unit = radians(1.0) if revolute else METRES[model.canonical.category.name]
        off = float(positions[i] - model.rest[i] - model.sign[i] * unit * float(state))
        off = abs((off + np.pi) % (2 * np.pi) - np.pi) if revolute else abs(off)
        if off > (radians(STATE_DEG) if revolute else STATE_M):
            size = f'{degrees(off):.0f}°' if revolute else f'{1000 * off:.0f} mm'
            notes.append(f'the state of {joint.name} is {size} off that of the poses, which is '
                         'taken')
    return notes
