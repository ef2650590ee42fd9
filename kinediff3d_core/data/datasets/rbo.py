"""RBO (Martin-Martin et al. 2018): recorded sequences of real objects (docs/datasets.md)."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.datasets.annotated_samples import annotated_samples
from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.rbo_model import (
    RboModel,
    joint_types,
    rbo_model,
    read_object,
)
from kinediff3d_core.data.datasets.rbo_recording import (
    LATE,
    MOVING_LATE,
    Recording,
    read_recording,
)
from kinediff3d_core.data.object_views import cast_object
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.io.files import checked_file
from kinediff3d_core.objects.category import CATEGORIES, Category, get_category
from kinediff3d_core.simulation.render import pixel_rays

Array = np.ndarray[Any, Any]

OBJECTS = {'laptop': ('laptop',), 'cardboardbox': ('box',), 'treasurebox': ('box',),
           'ikea': ('drawer', 'cabinet'), 'ikeasmall': ('drawer', 'cabinet'),
           'cabinet': ('drawer', 'cabinet'), 'microwave': ('cabinet',)}
"""Our categories of which an object may be; its joints decide (:func:`_joints_fit`)."""
ASDF = frozenset(f'laptop{n:02d}' for n in range(1, 21) if n != 15)
"""Sequences of A-SDF's test on this data set."""
ON_SURFACE = 0.03
"""Pixels of the object measure at most this far from its posed meshes, m. Chosen: what is farther
off is a hand in front, or the background beside a badly registered edge."""
DEPTH_OFFSET = 0.02
"""Largest median distance along the ray between depth and posed meshes that is not noted, m.
Chosen."""
MILLIMETRES = 50.0
"""A median depth beyond this is in millimetres, m. Chosen: farther than the sensor sees."""
IN_MEMORY = 4
"""Sequences whose tables are kept. Chosen."""


@dataclass(frozen=True)
class _Sequence:
    """A sequence and its object.

    Attributes:
        folder: of the sequence.
        object_name: as RBO calls it.
        depth: files of the depth images in order.
        configuration: folder of the object's model at that time.
        note: how the configuration was chosen, if not by the index.
    """

    folder: Path
    object_name: str
    depth: tuple[Path, ...]
    configuration: Path
    note: str


class Rbo:
    """The sequences of RBO; a :class:`kinediff3d_core.data.datasets.dataset.Dataset`.

    The root has the folders ``objects`` and ``interactions`` of RBO's own downloader. Names of
    views are ``<sequence>/<number of the depth image>``, of objects the data set's own.

    Attributes:
        left_out: one line for each sequence, or object, that is not among the views.
    """

    splits: tuple[str, ...] = ('all', 'asdf')

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = root / 'rbo_dataset' if (root / 'rbo_dataset').is_dir() else root
        if split not in (None, *self.splits):
            raise ValueError(f'RBO has the splits {", ".join(self.splits)}, not {split!r}')
        self._sequences: dict[str, _Sequence] = {}
        self._category: dict[str, str] = {}
        self._load = lru_cache(IN_MEMORY)(self._loaded)
        left_out: dict[str, None] = {}
        dates = _configuration_dates(self.root)
        for folder in _sequence_folders(self.root):
            match = re.fullmatch(r'([a-z]+)(\d+)(_\w)?', folder.name)
            if split == 'asdf' and (match is None or match[1] + match[2] not in ASDF):
                continue
            try:
                if match is None:
                    raise ValueError(f'{folder} is not called <object><number>_o')
                found = _sequence(self.root, folder, match[1], dates.get(match[1] + match[2]))
                self._category[found.object_name] = _category(found)
                self._sequences[folder.name] = found
            except ValueError as error:
                left_out[str(error)] = None
        self.left_out = tuple(left_out)
        if not self._sequences:
            raise ValueError(f'{self.root} has no sequence of ours in "interactions" with its '
                             f'object in "objects"{"; " if left_out else ""}'
                             + next(iter(left_out), ''))

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of our categories that are there."""
        return tuple(c for c in CATEGORIES if c in self._category.values())

    def views(self, category: str) -> Sequence[str]:
        """Names of the depth images of all sequences of a category."""
        return [f'{name}/{path.name.partition("-")[0]}' for name, s in self._sequences.items()
                if self._category[s.object_name] == category for path in s.depth]

    def objects(self, category: str) -> Sequence[str]:
        """Names of the objects of a category."""
        return [name for name, found in self._category.items() if found == category]

    def read_view(self, name: str) -> DatasetView:
        """Read one view; see :class:`kinediff3d_core.data.datasets.dataset.Dataset`.

        The mask is where the posed meshes are and the depth image measures them.
        """
        folder, _, number = name.partition('/')
        if folder not in self._sequences:
            raise ValueError(f'{name!r} is no view here: <sequence>/<number>')
        sequence = self._sequences[folder]
        path = next((p for p in sequence.depth if p.name.startswith(f'{number}-')), None)
        if path is None:
            raise ValueError(f'{sequence.folder} has no depth image {number}')
        try:
            recording, model = self._load(folder)
            depth, notes = _read_depth(path, recording)
            truth, late = _truth(recording, model, _stamp(path))
            mask, offset = _mask(model, truth, depth, recording)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error
        if late > MOVING_LATE:
            notes.append(f'the nearest pose is {1000 * late:.0f} ms away')
        if abs(offset) > DEPTH_OFFSET:
            notes.append(f'the depth image lies {1000 * offset:.0f} mm behind the posed meshes')
        if (truth.T_camera_part[0, :3, :3] @ model.up)[1] > 0:
            notes.append('the upward direction of the map points down in the image')
        return DatasetView(name, depth, mask, recording.intrinsics, truth, (
            'the mask is where the posed meshes are', *([sequence.note] if sequence.note else []),
            *model.notes, *notes))

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """See :class:`kinediff3d_core.data.datasets.dataset.Dataset`."""
        own = [n for n, s in self._sequences.items() if s.object_name == name]
        if not own:
            raise ValueError(f'{self.root} has no object {name!r} with sequences')
        names = [v for v in self.views(self._category[name]) if v.partition('/')[0] in own]
        return annotated_samples(self._load(own[0])[1].obj, names, self.read_view, views,
                                 generator)

    def _loaded(self, name: str) -> tuple[Recording, RboModel]:
        """The tables of a sequence and its object."""
        sequence = self._sequences[name]
        recording = read_recording(sequence.folder)
        found = read_object(sequence.configuration, sequence.object_name, self.root / 'objects')
        category = get_category(self._category[sequence.object_name])
        return recording, rbo_model(found, sequence.object_name, category, recording)


def _sequence_folders(root: Path) -> list[Path]:
    """Folders with depth images below ``interactions``, in order."""
    found = {p.parent for depth in ('*', '*/*')
             for p in (root / 'interactions').glob(f'{depth}/camera_depth_registered')}
    return sorted(found, key=lambda p: p.name)


def _configuration_dates(root: Path) -> dict[str, str]:
    """Dates of the configurations by the names of the sequences, from the index if it is there."""
    path = root / 'interactions' / 'interactions_index.csv'
    if not path.is_file():
        return {}
    try:
        with checked_file(path, 'index').open(encoding='utf-8', newline='') as stream:
            rows = list(csv.DictReader(stream))
        return {row['Name'].strip(): row['recording date(marker set id)'].strip() for row in rows}
    except (AttributeError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path} is not RBO\'s index: no column {error}') from error


def _sequence(root: Path, folder: Path, name: str, date: str | None) -> _Sequence:
    """A sequence with the configuration of its object.

    Raises:
        ValueError: no depth image, an object that is none of ours, or one without configuration.
    """
    if name not in OBJECTS:
        raise ValueError(f'{name} is no object of our categories')
    depth = sorted((folder / 'camera_depth_registered').glob('*-*.txt'))
    if not depth:
        raise ValueError(f'{folder} has no camera_depth_registered/<number>-<stamp>.txt')
    found = {p.name.removeprefix('configuration_'): p
             for p in sorted((root / 'objects' / name).glob('configuration_*')) if p.is_dir()}
    if not found:
        raise ValueError(f'{root / "objects" / name} has no configuration_<date>')
    if date is not None:
        if date not in found:
            raise ValueError(f'the index has the configuration {date} of {folder.name}; there '
                             f'are {", ".join(found)}')
        return _Sequence(folder, name, tuple(depth), found[date], '')
    day = datetime.fromtimestamp(_stamp(depth[0]), timezone.utc).date().isoformat()
    before = [d for d in found if d <= day]
    chosen = before[-1] if before else next(iter(found))
    note = '' if len(found) == 1 else f'configuration {chosen} is taken by the day {day}'
    return _Sequence(folder, name, tuple(depth), found[chosen], note)


def _stamp(path: Path) -> float:
    """Time in a depth image's name, s."""
    try:
        return float(path.stem.partition('-')[2])
    except ValueError as error:
        raise ValueError(f'{path} is not called <number>-<stamp>.txt') from error


def _category(sequence: _Sequence) -> str:
    """Our category of a sequence's object.

    Raises:
        ValueError: its joints are not those of the category.
    """
    name = sequence.object_name
    kinds = joint_types(sequence.configuration, name)
    for category in OBJECTS[name]:
        if _joints_fit(kinds, get_category(category)):
            return category
    raise ValueError(f'{name} has the joints {", ".join(kinds)}, not those of a '
                     + ' or a '.join(OBJECTS[name]))


def _joints_fit(kinds: Sequence[str], category: Category) -> bool:
    """Whether joints, all on the base, are as many and of the type as those of a category."""
    counts = {len(chosen) for chosen in category.possible_sets}
    return len(kinds) in counts and set(kinds) == {category.joints[0].joint_type}


def _read_depth(path: Path, recording: Recording) -> tuple[Array, list[str]]:
    """Depth (H, W), m, 0 where there is none, and notes."""
    text = checked_file(path, 'depth image').read_text(encoding='utf-8', errors='replace')
    size = recording.intrinsics.height, recording.intrinsics.width
    try:
        values = np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f'not a text of numbers: {error}') from error
    if values.size != size[0] * size[1]:
        raise ValueError(f'{values.size} numbers, expected {size[0]} rows of {size[1]}')
    depth = np.where(np.isfinite(values) & (values > 0), values, 0).reshape(size)
    if (depth > 0).any() and np.median(depth[depth > 0]) > MILLIMETRES:
        return depth / 1000, ['the depth image is in millimetres, the published ones in metres']
    return depth, []


def _truth(recording: Recording, model: RboModel, time: float) -> tuple[Truth, float]:
    """The truth at a time, and the time to the nearest pose, s."""
    T_map_camera, late = recording.camera(time)
    nearest = [recording.bodies[m].nearest(time) for m in model.markers]
    late = max(late, *(apart for _, apart in nearest))
    if late > LATE:
        raise ValueError(f'the nearest pose is {late:.1f} s away, more than {LATE} s')
    links = np.linalg.inv(T_map_camera) @ np.stack([T for T, _ in nearest])
    surfaces = tuple(Surface(mesh) for mesh in model.obj.meshes)
    found = model.canonical
    truth = found.truth(links @ np.linalg.inv(model.T_base_link), 1.0, surfaces)
    bodies = np.linalg.inv(found.T_model_part) @ model.T_base_link[list(found.parts)]
    return replace(truth, T_part_stated=bodies), late


def _mask(model: RboModel, truth: Truth, depth: Array, recording: Recording,
          ) -> tuple[Array, float]:
    """Mask (H, W), and the median distance of the depth behind the posed meshes, m."""
    posed, _ = cast_object(model.obj, torch.from_numpy(truth.T_camera_part),
                           pixel_rays(recording.intrinsics))
    rendered = posed.double().numpy()
    behind = depth - rendered
    both = (rendered > 0) & (depth > 0)
    mask = both & (np.abs(behind) < ON_SURFACE)
    if not mask.any():
        raise ValueError('no pixel measures the posed meshes')
    return mask, float(np.median(behind[both]))
