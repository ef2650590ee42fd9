"""Objects to train on become files of :mod:`kinediff3d_core.data.sample_files`.

Where the objects come from does not matter: a folder of URDFs or a public data set. Several
processes may write into one folder, each its own objects. A file names what it was made from, so
that the same import does not make it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from kinediff3d_core.data.datasets.dataset import Dataset
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.mesh_samples import import_object, stretched
from kinediff3d_core.data.sample_files import origin_of, write_object
from kinediff3d_core.distributed.identity import fingerprint, package_version
from kinediff3d_core.objects.category import Category

SEEDS_APART = 1009
"""Seeds of two neighbouring objects differ by this. Chosen: a prime."""


class TrainingObject(Protocol):
    """One object that training samples can be made of."""

    @property
    def name(self) -> str:
        """Unique among the objects; names the files."""

    def identity(self) -> Any:
        """Values, as JSON has them, that change with everything the tensors depend on."""

    def samples(self, variants: int, views: int, generator: torch.Generator,
                ) -> Iterator[dict[str, Tensor]]:
        """Yield the tensors of the object, then those of its variants.

        Args:
            variants: how many in all. The first ones do not depend on it.
            views: number of views of each.
            generator: on the CPU.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """


@dataclass(frozen=True)
class MeshTrainingObject:
    """A mesh object, whose variants are stretched copies."""

    mesh_object: MeshObject

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.mesh_object.name

    def identity(self) -> Any:
        """Joints, and a digest of the meshes, in the canonical frame."""
        obj, digest = self.mesh_object, hashlib.sha256()
        for mesh in obj.meshes:
            digest.update(f'{mesh.vertices.shape} {mesh.faces.shape}'.encode())
            digest.update(mesh.vertices.tobytes() + mesh.faces.tobytes())
        return [obj.category, obj.parts, repr(obj.joints), obj.origin.tolist(), digest.hexdigest()]

    def samples(self, variants: int, views: int, generator: torch.Generator,
                ) -> Iterator[dict[str, Tensor]]:
        """Yield the tensors of the object, then those of stretched copies."""
        for n in range(variants):
            variant = stretched(self.mesh_object, generator) if n else self.mesh_object
            yield import_object(variant, views, generator)


@dataclass(frozen=True)
class DatasetTrainingObject:
    """An object of a public data set, whose variants are further samples of the same shape."""

    dataset: Dataset
    source: tuple[str, ...]
    """Name, root and split of the data set."""
    object_name: str
    """In the data set."""

    @property
    def name(self) -> str:
        """Of the object, as a file name."""
        return self.object_name.replace('/', '_')

    def identity(self) -> Any:
        """Where the object stands; files that are changed in place are not noticed."""
        return [*self.source, self.object_name]

    def samples(self, variants: int, views: int, generator: torch.Generator,
                ) -> Iterator[dict[str, Tensor]]:
        """Yield samples of the object, with other points and views each."""
        for _ in range(variants):
            yield self.dataset.training_samples(self.object_name, views, generator)


@dataclass(frozen=True)
class ImportConfig:
    """How objects become files."""

    category: Category
    """Of all objects."""
    out: Path
    """Folder for ``<object>_<variant>.safetensors``."""
    variants: int = 4
    """Files of each object: itself, and variants of it."""
    views: int = 32
    """Noisy views in each file."""
    seed: int = 0
    """Of the variants and views."""


def import_objects(objects: Mapping[int, TrainingObject], config: ImportConfig,
                   on_error: Callable[[ValueError], object],
                   progress: Callable[[int], object] = lambda _: None) -> int:
    """Write the files of objects that are not there yet.

    Args:
        objects: by their number in the whole list, on which their seeds depend. Several processes
            each give their own part of the list.
        on_error: is called for an object that cannot be used; the import goes on if it returns.
        progress: is called with the number of files that have become complete.

    Returns:
        the number of these objects' files that are there now.
    """
    done = 0
    for number, obj in objects.items():
        # The seed depends on the object alone: importing more objects later changes none.
        seed = config.seed + SEEDS_APART * number
        origin = fingerprint([package_version(), obj.identity(), config.views, seed])
        paths = [config.out / f'{obj.name}_{n}.safetensors' for n in range(config.variants)]
        if all(origin_of(path) == origin for path in paths):
            done += len(paths)
            progress(len(paths))
            continue
        samples = obj.samples(config.variants, config.views, torch.Generator().manual_seed(seed))
        try:
            for path, tensors in zip(paths, samples, strict=True):
                write_object(tensors, config.category, path, origin)
                done += 1
                progress(1)
        except ValueError as error:
            on_error(error)
    return done
