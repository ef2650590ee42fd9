"""One state of an object in A-SDF's release: its mesh, cut into parts by labelled samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import radians
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from kinediff3d_core.data.datasets.moved_part import mean_distance
from kinediff3d_core.data.datasets.shape2motion_objects import read_obj
from kinediff3d_core.io.files import checked_file, read_npz
from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]

DATASET = 'shape2motion'
"""The one of the release's data sets that has whole objects."""
MIN_QUERIES = 200
"""Labelled distance samples that a part needs. Chosen."""


@dataclass(frozen=True)
class State:
    """One state of an object, in the frame of its mesh, before it is scaled.

    Attributes:
        angles: (J,) rad.
        parts: meshes by label.
        points, distance, label: (N, 3), (N,), (N,) samples of the signed distance.
    """

    angles: tuple[float, ...]
    parts: dict[int, Mesh]
    points: Array
    distance: Array
    label: Array


def state_angles(name: str, count: int) -> tuple[float, ...]:
    """The angles in a state's name, rad.

    Raises:
        ValueError: another name than ``IIIIart`` and ``count`` angles of four characters.
    """
    texts = [name[7 + 4 * i:11 + 4 * i] for i in range(count)]
    try:
        if name[4:7] != 'art' or len(name) != 7 + 4 * count:
            raise ValueError(name)
        return tuple(radians(int(t)) for t in texts)
    except ValueError:
        raise ValueError(f'{name!r} is not IIIIart and {count} angles of four characters'
                         ) from None


def read_state(root: Path, kind: str, name: str, count: int) -> State:
    """One state, in the frame of its mesh.

    Args:
        root: of the release.
        kind: its class.
        count: number of its angles.

    Raises:
        ValueError: missing or damaged files, or other labels than the class has parts.
    """
    def file(folder: str, ending: str) -> Path:
        return root / 'data' / folder / DATASET / kind / f'{name}.{ending}'

    found = _read_arrays(file('SdfSamples', 'npz'), ('pos', 'neg'))
    sizes = _read_arrays(file('NormalizationParameters', 'npz'), ('offset', 'scale'))
    samples = np.concatenate([x.reshape(-1, 5) if x.size % 5 == 0 else np.zeros((0, 5))
                              for x in found])
    samples = samples[np.isfinite(samples).all(-1)]
    offset, scale = sizes[0].reshape(-1), sizes[1].reshape(-1)
    if not len(samples) or len(offset) != 3 or len(scale) != 1 or not scale[0] > 0:
        raise ValueError('its samples are not N x 5 numbers, or its offset and scale not 3 and 1')
    points, label = samples[:, :3] / scale[0] - offset, samples[:, 4].astype(np.int64)
    mesh = read_obj(file('SurfaceSamples', 'obj'))
    _, near = cKDTree(points).query(mesh.vertices[mesh.faces].mean(1))
    parts = {int(k): Mesh(mesh.vertices, mesh.faces[label[near] == k]) for k in np.unique(label)}
    for k, part in parts.items():
        if not len(part.faces) or (label == k).sum() < MIN_QUERIES:
            raise ValueError(f'part {k} has {len(part.faces)} faces and {(label == k).sum()} '
                             f'samples, it needs 1 and {MIN_QUERIES}')
    if len(parts) != count + 1 or min(parts) < 0:
        raise ValueError(f'its samples have the labels {sorted(parts)}, a {kind} has '
                         f'{count + 1} parts')
    used = {k: _without_unused(part) for k, part in parts.items()}
    return State(state_angles(name, count), used, points, samples[:, 3] / scale[0], label)


def _without_unused(mesh: Mesh) -> Mesh:
    """The mesh without vertices that no face has."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[used], faces.reshape(-1, 3))


def _read_arrays(path: Path, names: Sequence[str]) -> list[Array]:
    """Arrays of an ``.npz`` archive, float64."""
    found = read_npz(checked_file(path, 'file'), 'file of arrays', names)
    return [np.asarray(array, dtype=np.float64) for array in found]


def part_roles(state: State, moved: Sequence[State]) -> list[int]:
    """Labels of the base, and of the part that each angle moves.

    The base moves least in all, and each angle moves one part most.

    Raises:
        ValueError: two angles move the same part.
    """
    labels = sorted(state.parts)
    if any(sorted(other.parts) != labels for other in moved):
        raise ValueError('the states of the object have different labels')
    motion = np.array([[mean_distance(state.parts[k], other.parts[k]) for k in labels]
                       for other in moved])
    order = [labels[int(k)] for k in (motion.sum(0).argmin(), *motion.argmax(1))]
    if len(set(order)) != len(labels):
        raise ValueError(f'its angles do not move one labelled part each: they move {order[1:]}, '
                         f'and {order[0]} moves least')
    return order


def relabelled(state: State, order: Sequence[int]) -> State:
    """The state with its parts labelled by their place in ``order``."""
    new = np.full(max(order) + 1, -1)
    new[list(order)] = range(len(order))
    return replace(state, parts={i: state.parts[k] for i, k in enumerate(order)},
                   label=new[state.label])
