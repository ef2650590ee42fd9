"""Where the test views of an evaluation come from: families, a folder of objects, a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.mesh_objects import category_of, list_objects
from kinediff3d_core.evaluation.samples import (
    Samples,
    dataset_samples,
    object_samples,
    procedural_samples,
)
from kinediff3d_core.simulation.families import FAMILIES
from kinediff3d_core.simulation.real_world import CUT_OFF_WORLD, TEST_WORLD, RealWorld


@dataclass(frozen=True)
class Source:
    """Test views by category.

    Attributes:
        name: of the source, for messages and files.
        categories: those that it has.
        samples: test views of a category, for a seed, with or without shapes.
        counts: number of views of each category, where it is limited.
        inputs: what the views of a category depend on besides the seed, by name.
        left_out: one line for each thing that is there and gives no views.
    """

    name: str
    categories: tuple[str, ...]
    samples: Callable[[str, int, bool], Samples]
    counts: Mapping[str, int]
    inputs: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()


def procedural_source(categories: tuple[str, ...]) -> Source:
    """Held-out objects of the families of some categories; those without a family are left out."""
    return _family_source('procedural', categories, procedural_samples)


def realistic_source(categories: tuple[str, ...]) -> Source:
    """Held-out objects of the families in surroundings, as real sensors and masks show them."""
    return _world_source('realistic', categories, TEST_WORLD)


def cut_off_source(categories: tuple[str, ...]) -> Source:
    """The objects and views of :func:`procedural_source`, each partly beyond the picture's end."""
    return _world_source('cut-off', categories, CUT_OFF_WORLD)


def _world_source(name: str, categories: tuple[str, ...], world: RealWorld) -> Source:
    def samples(category: str, seed: int, shapes: bool) -> Samples:
        return procedural_samples(category, seed, shapes, world=world)

    return _family_source(name, categories, samples)


def _family_source(name: str, categories: tuple[str, ...],
                   samples: Callable[[str, int, bool], Samples]) -> Source:
    """A source of samples of the categories that have a family."""
    found = tuple(c for c in categories if c in FAMILIES)
    return Source(name, found, samples, {}, {},
                  tuple(f'{c}: no procedural family' for c in categories if c not in FAMILIES))


def folder_source(root: str) -> Source:
    """The URDF objects of a folder.

    Raises:
        ValueError: no such folder, or no objects in it.
    """
    inputs: dict[str, tuple[str, ...]] = {}
    for folder in list_objects(root):
        inputs[category_of(folder)] = (*inputs.get(category_of(folder), ()), folder.name)

    def samples(category: str, seed: int, shapes: bool) -> Samples:
        return object_samples(root, category, seed, shapes)

    return Source(root, tuple(sorted(inputs)), samples, {}, inputs)


def dataset_source(name: str, root: Path, split: str | None = None) -> Source:
    """The views of a split of a public data set.

    Raises:
        ValueError: unknown name or split, or a folder without the published layout.
    """
    dataset = open_dataset(name, root, split)
    inputs = {category: tuple(dataset.views(category)) for category in dataset.categories}

    def samples(category: str, seed: int, shapes: bool) -> Samples:
        return dataset_samples(dataset, category, seed, shapes)

    return Source(f'{name} {split or dataset.splits[0]}', dataset.categories, samples,
                  {category: len(views) for category, views in inputs.items()}, inputs,
                  dataset.left_out)
