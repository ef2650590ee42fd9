"""ReArtMix and ReArtVal (Liu et al., TIP 2022): real depth images with several objects each.

The layout and what is inferred of it are in docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.datasets.canonical import UNIFORM, rigid_and_scale
from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.datasets.polygons import polygon_mask
from kinediff3d_core.data.datasets.reart_models import (
    CATEGORY_IDS,
    ReArtModel,
    read_models,
    reart_model,
)
from kinediff3d_core.geometry.camera import require_size
from kinediff3d_core.io.camera_info import read_camera_info
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.suggestion import unknown

Array = np.ndarray[Any, Any]

ANNOTATIONS, DEPTH, CAMERA, MODELS = ('annotations', 'depth', 'camera_intrinsic.json',
                                      'urdf_metas.json')
FIRST_BOX_OF_TEST = 5000
"""Frames of the set ``box_train_v2`` from this number on are the test split [PAGE]."""
BOXES = 'box_train_v2'
"""The only set with both splits."""
NO_LIST = 'no list of a split: all frames are taken'


class ReArtMix:
    """One split of ReArtMix.

    The root has the sets of the full release as folders, or is itself a set, with ``train.txt``
    and ``test.txt`` or without a split. A view is one instance of a frame,
    ``<scene>/<frame>_<index>``, with the name of the set in front.

    Attributes:
        left_out: one line for each annotation that cannot be read.
    """

    splits: tuple[str, ...] = ('test', 'train')

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = Path(root)
        self.split = split or self.splits[0]
        if self.split not in self.splits:
            raise ValueError(unknown('split', split, self.splits))
        self.intrinsics = read_camera_info(self.root / CAMERA)
        self._entries = read_models(self.root / MODELS)
        self._model = lru_cache(None)(self._read_model)
        self.notes: tuple[str, ...] = ()
        self._views: dict[str, list[str]] = {}
        left_out = []
        for file in self._annotations():
            try:
                for i, instance in enumerate(_instances(file)):
                    category = CATEGORY_IDS[instance['category_id']]
                    self._views.setdefault(category, []).append(self._name(file, i))
            except (ValueError, KeyError, TypeError) as error:
                left_out.append(_reason(file, error))
        self.left_out = tuple(left_out)
        self._keep_listed()
        if not self._views:
            raise ValueError(f'{self.root} has no annotation of the split {self.split!r}'
                             + (f'; {left_out[0]}' if left_out else ''))

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of our categories that this split has."""
        return tuple(c for c in CATEGORIES if c in self._views)

    def views(self, category: str) -> Sequence[str]:
        """Names of the views of a category."""
        return self._views.get(category, [])

    def read_view(self, name: str) -> DatasetView:
        """Read one instance of a frame.

        Raises:
            ValueError: a broken or contradictory file; one line that names it.
        """
        frame, _, index = name.rpartition('_')
        *above, scene, number = frame.split('/')
        set_folder, rest = self._set_of([*above, scene])
        file = set_folder / ANNOTATIONS / rest / f'{number}.json'
        try:
            content = read_json(file, dict)
            instance = content['instances'][int(index)]
            depth = read_depth(self._inside(set_folder / DEPTH / content['depth_path']))
            require_size(depth, self.intrinsics, None)
            model = self._model(instance['urdf_id'])
            if CATEGORY_IDS[instance['category_id']] != model.category:
                raise ValueError(f'category {instance["category_id"]}, but model '
                                 f'{instance["urdf_id"]} is a {model.category}')
            links = _links_in_order(instance['links'], len(model.canonical.parts))
            T, scale = _poses(links)
            truth = model.canonical.truth(T, scale)
            mask = _mask(links, depth.shape)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(_reason(file, error)) from error
        return DatasetView(name, depth, mask, self.intrinsics, truth, (*self.notes, model.note))

    def objects(self, category: str) -> Sequence[str]:
        """None: the data set has boxes of its objects, but no shapes."""
        return ()

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """Raises: ValueError: there are no shapes to train on."""
        _refuse_training()

    def _annotations(self) -> Iterator[Path]:
        """Files of annotations of the split, in order; all where a list names views."""
        for folder in self._sets():
            for file in sorted((folder / ANNOTATIONS).rglob('*.json')):
                if folder == self.root or self._in_split(folder.name, file):
                    yield file

    def _sets(self) -> list[Path]:
        """Folders with annotations.

        Raises:
            ValueError: there are none.
        """
        if (self.root / ANNOTATIONS).is_dir():
            return [self.root]
        folders = [p for p in sorted(self.root.iterdir()) if (p / ANNOTATIONS).is_dir()]
        if not folders:
            raise ValueError(f'{self.root} has no folder "{ANNOTATIONS}", and no folder in it has '
                             'one')
        return folders

    def _in_split(self, name: str, file: Path) -> bool:
        """Whether an annotation of a set of the full release belongs to the split."""
        if name == BOXES:
            late = file.stem.isdecimal() and int(file.stem) >= FIRST_BOX_OF_TEST
            return late == (self.split == 'test')
        return ('train' in name.split('_')) == (self.split == 'train')

    def _keep_listed(self) -> None:
        """Keep the views that the split's list names, in its order, where the root has lists."""
        if not (self.root / ANNOTATIONS).is_dir():
            return
        lists = [s for s in self.splits if (self.root / f'{s}.txt').is_file()]
        if not lists:
            self.notes = (NO_LIST,)
            return
        if self.split not in lists:
            raise ValueError(f'{self.root} has no {self.split}.txt; its splits: '
                             f'{", ".join(lists)}')
        listed = (self.root / f'{self.split}.txt').read_text(encoding='utf-8').split()
        place = {name: i for i, name in enumerate(listed)}
        kept = {c: sorted((n for n in names if n in place), key=place.__getitem__)
                for c, names in self._views.items()}
        self._views = {c: names for c, names in kept.items() if names}
        missing = set(place).difference(*kept.values())
        self.left_out += tuple(f'{self.split}.txt names {name}, which has no annotation'
                               for name in sorted(missing, key=place.__getitem__))

    def _name(self, file: Path, index: int) -> str:
        parts = list(file.relative_to(self.root).with_suffix('').parts)
        parts.remove(ANNOTATIONS)
        return f'{"/".join(parts)}_{index}'

    def _set_of(self, folders: list[str]) -> tuple[Path, str]:
        """The set's folder of a view, and the folders below its annotations."""
        if (self.root / ANNOTATIONS).is_dir():
            return self.root, '/'.join(folders)
        return self.root / folders[0], '/'.join(folders[1:])

    def _inside(self, path: Path) -> Path:
        """A path that does not leave the data set's root."""
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise ValueError(f'{path} is outside of the data set')
        return path

    def _read_model(self, urdf_id: int) -> ReArtModel:
        if urdf_id not in self._entries:
            raise ValueError(f'model {urdf_id} is not in {MODELS}')
        try:
            return reart_model(self._entries[urdf_id])
        except ValueError as error:
            raise ValueError(f'model {urdf_id} of {MODELS}: {error}') from error


def _instances(file: Path) -> list[dict[str, Any]]:
    """The instances of an annotation."""
    instances = read_json(file, dict)['instances']
    if not isinstance(instances, list):
        raise ValueError('its instances are no list')
    return instances


def _links_in_order(links: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The links of an instance in the order of their ids, which begin with 1."""
    ordered = sorted(links, key=lambda link: int(link['link_category_id']))
    ids = [link['link_category_id'] for link in ordered]
    if ids != list(range(1, count + 1)):
        raise ValueError(f'links {ids}, expected 1 to {count}')
    return ordered


def _poses(links: Sequence[dict[str, Any]]) -> tuple[Array, float]:
    """Rigid poses (P, 4, 4) of the links, m, and the scale that all of them have.

    Raises:
        ValueError: not one uniform scale.
    """
    T = [np.array(link['transformation'], dtype=np.float64) for link in links]
    if any(pose.shape != (4, 4) for pose in T):
        raise ValueError(f'poses have the shapes {[pose.shape for pose in T]}, expected (4, 4)')
    rigid, scales = zip(*map(rigid_and_scale, T), strict=True)
    if max(scales) > (1 + UNIFORM) * min(scales):
        raise ValueError(f'links have different scales: {np.round(scales, 4).tolist()}')
    return np.stack(rigid), float(np.mean(scales))


def _mask(links: Sequence[dict[str, Any]], shape: tuple[int, ...]) -> Array | None:
    """Pixels (H, W) of all links; None where no link has a polygon."""
    polygons = [p for link in links for p in link.get('segmentation') or ()]
    return polygon_mask(polygons, (shape[0], shape[1])) if polygons else None


def _reason(file: Path, error: Exception) -> str:
    """One line that names a file and what is wrong with it."""
    text = f'{error} is missing or unknown' if isinstance(error, KeyError) else str(error)
    return text if str(file) in text else f'{file}: {text}'


def _refuse_training() -> NoReturn:
    raise ValueError('the data set has no shapes to train on')
