"""Single depth frames and sequences whose joint values are known (docs/datasets.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, radians
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.placement import counts_text
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.io.view_files import ViewFiles, read_view
from kinediff3d_core.objects.category import CATEGORIES, Category, get_category
from kinediff3d_core.objects.suggestion import unknown

TRUTH, CAMERA, DEPTH, MASK = 'truth.json', 'camera_info.yaml', 'depth.png', 'mask.png'
SEQUENCE_DEPTH, SEQUENCE_MASK = 'depth', 'mask_{frame}.png'
"""A sequence's folder of depth images, and the mask of one of its frames."""
UNITS = {'deg': ('revolute', radians(1)), 'rad': ('revolute', 1.0), 'mm': ('prismatic', 1e-3),
         'm': ('prismatic', 1.0)}
"""Kind of joint, and size in rad or m, of the units of joint values."""
JOINTS_ONLY = 'the truth has joint values only: no errors of poses and shapes'


@dataclass(frozen=True)
class _Frame:
    """Where the files of a view are, and its joint values as written."""

    category: str
    depth: Path
    mask: Path
    joints: Any
    unit: Any


class Frames:
    """Folders with one depth image each, or with a sequence.

    A view is named after its folder, one of a sequence ``<folder>/<frame>``.

    Attributes:
        left_out: one line for each folder that has no usable truth.
    """

    splits: tuple[str, ...] = ('all',)

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = Path(root)
        if split not in (None, *self.splits):
            raise ValueError(unknown('split', split, self.splits))
        folders = sorted(p.parent for p in self.root.glob(f'*/{TRUTH}'))
        if not folders:
            raise ValueError(f'{self.root} has no folder with a {TRUTH}')
        self._frames: dict[str, _Frame] = {}
        left_out = []
        for folder in folders:
            try:
                self._frames.update(_frames(folder))
            except ValueError as error:
                left_out.append(str(error))
        self.left_out = tuple(left_out)
        if not self._frames:
            raise ValueError(f'{self.root} has no frame that can be scored; {left_out[0]}')

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of our categories that are there."""
        found = {frame.category for frame in self._frames.values()}
        return tuple(c for c in CATEGORIES if c in found)

    def views(self, category: str) -> Sequence[str]:
        """Names of the views of a category."""
        return [name for name, frame in self._frames.items() if frame.category == category]

    def category_of(self, name: str) -> str:
        """Name of the category of a view."""
        return self._frames[name].category

    def read_view(self, name: str) -> DatasetView:
        """Read one frame.

        Raises:
            ValueError: a broken file; one line that names it.
        """
        frame = self._frames[name]
        folder = self.root / name.split('/')[0]
        view = read_view(ViewFiles(frame.depth, folder / CAMERA,
                                   frame.mask if frame.mask.exists() else None))
        try:
            truth = _joint_truth(get_category(frame.category), frame.joints, frame.unit)
        except ValueError as error:
            raise ValueError(f'{frame.depth}: {error}') from error
        return DatasetView(name, view.depth, view.mask, view.intrinsics, truth, (JOINTS_ONLY,))

    def objects(self, category: str) -> Sequence[str]:
        """None: frames have no shapes."""
        return ()

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """Raises: ValueError: there are no shapes to train on."""
        raise ValueError('single frames have no shapes to train on')


def _frames(folder: Path) -> dict[str, _Frame]:
    """The frames of a folder by the views' names.

    Raises:
        ValueError: no category of ours, or no joint values; one line that names the folder.
    """
    truth = read_json(folder / TRUTH, dict)
    category = truth.get('category')
    if category not in CATEGORIES:
        raise ValueError(f'{folder / TRUTH}: {unknown("category", category, sorted(CATEGORIES))}')
    unit = truth.get('unit')
    joints, by_frame = truth.get('joints'), truth.get('joints_by_frame')
    if joints is None and not isinstance(by_frame, dict):
        raise ValueError(f'{folder / TRUTH} has no joint values ("joints" or "joints_by_frame")')
    if joints is not None:
        return {folder.name: _Frame(category, folder / DEPTH, folder / MASK, joints, unit)}
    return {f'{folder.name}/{name}': _Frame(
        category, folder / SEQUENCE_DEPTH / f'{Path(name).name}.png',
        folder / SEQUENCE_MASK.format(frame=Path(name).name), values, unit)
        for name, values in by_frame.items()}


def _joint_truth(category: Category, values: Any, unit: Any) -> Truth:
    """The truth of an object of which only the joint values are known.

    Args:
        values: one number, or one a joint in the category's order; None, or NaN, of a joint that
            the object lacks. Missing ones may be left out where their number says which they are.
        unit: of all of them, one of :data:`UNITS`.

    Raises:
        ValueError: another number of joints, or a unit of another kind of joint.
    """
    try:
        positions = np.atleast_1d(np.array(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f'joint values {values!r} are no numbers') from error
    chosen = _stated_parts(category, positions)
    if chosen is None:
        raise ValueError(f'joint values {values!r} for the {counts_text(category)} joints of a '
                         f'{category.name}')
    positions = positions[np.isfinite(positions)]
    kept = (0, *chosen)
    joints = [j for j in category.joints if j.child in kept]
    parts, count = tuple(category.parts[k] for k in kept), len(joints)
    kind, size = UNITS.get(unit, ('', nan))
    if any(j.joint_type != kind for j in joints):
        known = [u for u, (k, _) in UNITS.items() if k == joints[0].joint_type]
        raise ValueError(f'unit {unit!r} of {joints[0].joint_type} joints; known: '
                         f'{", ".join(known)}')
    return Truth(category.name, parts, tuple(j.name for j in joints),
                 tuple(j.joint_type for j in joints), tuple(kept.index(j.parent) for j in joints),
                 tuple(kept.index(j.child) for j in joints), np.full((count + 1, 4, 4), nan),
                 positions * size, np.full((count, 3), nan), np.full((count, 3), nan), None,
                 np.full((count + 1, 3), nan))


def _stated_parts(category: Category, positions: np.ndarray) -> tuple[int, ...] | None:
    """The set of moving parts that joint positions (J,) are of; None if there is not one."""
    if positions.ndim != 1:
        return None
    if len(positions) == len(category.joints):
        given = tuple(j.child for j, q in zip(category.joints, positions, strict=True)
                      if np.isfinite(q))
        return given if given in category.possible_sets else None
    fitting = [chosen for chosen in category.possible_sets if len(chosen) == len(positions)]
    return fitting[0] if len(fitting) == 1 and np.isfinite(positions).all() else None
