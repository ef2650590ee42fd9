"""Data sets of articulated meshes without images: we render their objects at test views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.mesh_models import SURFACE_POINTS, rendered_view
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.mesh_samples import import_object
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.visible_surface import visible_surfaces
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.suggestion import unknown

VIEWS = 20
"""Views of an object. Chosen."""
CACHED = 16
"""Objects that are kept in memory. Chosen."""


@dataclass(frozen=True)
class _Loaded:
    """An object in the canonical frame, and what had to be inferred."""

    obj: MeshObject
    surfaces: tuple[Surface, ...]
    notes: tuple[str, ...]


class MeshDataset(ABC):
    """One split of such a data set.

    The name of a view is ``<object>/<number>``. Views are in the order of their numbers, so that
    the first ones show all objects.

    Args:
        root: of the data set.
        names: names of the objects by our category.
        left_out: one line for each kind of objects that are not ours, with their number.
    """

    splits: tuple[str, ...] = ('test', 'train')

    def __init__(self, root: Path, names: Mapping[str, Sequence[str]],
                 left_out: tuple[str, ...]) -> None:
        self.root, self._names, self.left_out = root, names, left_out
        self._load = lru_cache(CACHED)(self._loaded)

    @abstractmethod
    def read_object(self, name: str, category: str) -> tuple[MeshObject, tuple[str, ...]]:
        """An object in the canonical frame, m, and one note for each thing that was inferred.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of our categories that this split has."""
        return tuple(c for c in CATEGORIES if self._names.get(c))

    def views(self, category: str) -> Sequence[str]:
        """Names of the views of a category."""
        return [f'{name}/{i}' for i in range(VIEWS) for name in self._names.get(category, ())]

    def read_view(self, name: str) -> DatasetView:
        """Render one view.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """
        found = self._load(name.rpartition('/')[0])
        return rendered_view(name, found.obj, found.surfaces, notes=found.notes)

    def objects(self, category: str) -> Sequence[str]:
        """Names of the objects of a category."""
        return self._names.get(category, ())

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """Tensors of :mod:`kinediff3d_core.data.sample_files` of one object.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """
        return import_object(self._placed(name)[0], views, generator)

    def _placed(self, name: str) -> tuple[MeshObject, tuple[str, ...]]:
        category = next((c for c, names in self._names.items() if name in names), None)
        if category is None:
            raise ValueError(f'{self.root} has no object {name!r} in this split')
        return self.read_object(name, category)

    def _loaded(self, name: str) -> _Loaded:
        obj, notes = self._placed(name)
        return _Loaded(obj, visible_surfaces(obj.meshes, SURFACE_POINTS), notes)


def checked_split(split: str | None, splits: tuple[str, ...]) -> str:
    """The split, or the first one for None.

    Raises:
        ValueError: no such split.
    """
    if split not in (None, *splits):
        raise ValueError(unknown('split', split, splits))
    return split or splits[0]
