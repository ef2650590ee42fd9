"""Shape2Motion as A-SDF releases it: states of objects as meshes and labelled distance samples.

``<root>/data/{SdfSamples,SurfaceSamples,NormalizationParameters}/shape2motion/<class>/<state>.*``
and ``<root>/examples/splits/sm_<class>_6_angle_{train,test}.json``. A state is called
``IIIIart`` and one or two angles of four characters, degrees. There are no joints: they are found
from the states of one object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.datasets.asdf_state import (
    DATASET,
    State,
    part_roles,
    read_state,
    relabelled,
    state_angles,
)
from kinediff3d_core.data.datasets.canonical import StatedJoint
from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.joint_sense import closed_at_limit, closed_by_shape
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.datasets.mesh_dataset import checked_split
from kinediff3d_core.data.datasets.mesh_models import (
    SURFACE_POINTS,
    MeshModel,
    PlacedObject,
    rendered_view,
)
from kinediff3d_core.data.datasets.moved_part import rotation_axis
from kinediff3d_core.data.datasets.shape2motion_objects import (
    CLASSES,
    inferred_up,
    placed,
)
from kinediff3d_core.data.mesh_samples import QUERY_POINTS, import_object
from kinediff3d_core.data.visible_surface import visible_surfaces
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import CATEGORIES, get_category

Array = np.ndarray[Any, Any]

CLOSED_BY_SHAPE = ('laptop',)
"""Classes whose closed position is at no end of their angles."""


class AsdfRelease:
    """One split. A view is a state, called ``<class>/<state>``; an object ``<class>/<IIII>``.

    Args:
        root: a checkout of A-SDF with its data in ``data``.
    """

    splits: tuple[str, ...] = ('test', 'train')

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root, split = root, checked_split(split, self.splits)
        self._states: dict[str, dict[str, list[str]]] = {}
        left_out = []
        for path in sorted((root / 'examples' / 'splits').glob(f'sm_*_6_angle_{split}.json')):
            kind = path.name[len('sm_'):-len(f'_6_angle_{split}.json')]
            if kind in CLASSES:
                self._states[kind] = _by_object(path, kind)
            else:
                left_out.append(f'{path.name}: none of our categories, or no whole objects')
        self.left_out = tuple(left_out)
        if not self._states:
            raise ValueError(f'{root}/examples/splits has no sm_<class>_6_angle_{split}.json of '
                             f'{", ".join(CLASSES)}')

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of our categories that this split has."""
        return tuple(c for c in CATEGORIES if c in self._states)

    def views(self, category: str) -> Sequence[str]:
        """Names of the states of a category."""
        return [f'{category}/{s}' for states in self._states.get(category, {}).values()
                for s in states]

    def read_view(self, name: str) -> DatasetView:
        """Render one state.

        Raises:
            ValueError: a broken file, or a state whose joints cannot be found.
        """
        kind, _, state = name.partition('/')
        found, _ = self._placed(kind, state)
        notes = ('joints, size and sense are inferred from the states of the object',)
        surfaces = visible_surfaces(found.obj.meshes, SURFACE_POINTS)
        return rendered_view(name, found.obj, surfaces, found.positions, notes)

    def objects(self, category: str) -> Sequence[str]:
        """Names of the objects of a category."""
        return [f'{category}/{i}' for i in self._states.get(category, {})]

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """Tensors of :mod:`kinediff3d_core.data.sample_files` of one object.

        Distances are the release's own, of its middle state; surfaces and views come from the
        mesh of that state.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """
        kind, _, instance = name.partition('/')
        states = self._states.get(kind, {}).get(instance, [])
        if not states:
            raise ValueError(f'{self.root} has no object {name!r} in this split')
        found, state = self._placed(kind, states[len(states) // 2])
        tensors = import_object(found.obj, views, generator)
        for k, part in enumerate(found.parts):
            own = np.flatnonzero(state.label == part)
            pick = own[torch.randint(len(own), (QUERY_POINTS,), generator=generator).numpy()]
            points = transform_points(np.linalg.inv(found.T_model_part[k]),
                                      state.points[pick] * found.metres)
            tensors['query'][k] = torch.from_numpy(points).float()
            tensors['distance'][k] = torch.from_numpy(state.distance[pick] * found.metres).float()
        return tensors

    def _placed(self, kind: str, name: str) -> tuple[PlacedObject, State]:
        """A state in the canonical frame; and as stated, with its base labelled 0."""
        states = self._states.get(kind, {}).get(name[:4], [])
        if name not in states:
            raise ValueError(f'{self.root} has no state {name!r} of a {kind} in this split')
        try:
            return self._place(kind, name, states)
        except ValueError as error:
            raise ValueError(f'{kind}/{name}: {error}') from error

    def _place(self, kind: str, name: str, states: Sequence[str]) -> tuple[PlacedObject, State]:
        """As :meth:`_placed`."""
        count = len(get_category(kind).joints)
        state = read_state(self.root, kind, name, count)
        moved = [read_state(self.root, kind, _other_state(name, states, i, count), count)
                 for i in range(count)]
        order = part_roles(state, moved)
        state = relabelled(state, order)
        joints = tuple(self._joint(kind, i, state, relabelled(other, order))
                       for i, other in enumerate(moved))
        meshes = tuple(state.parts[k] for k in range(count + 1))
        found = placed(MeshModel(f'{kind}/{name[:4]}', kind, meshes, joints,
                                 inferred_up(kind, joints)))
        return found, state

    def _joint(self, kind: str, i: int, state: State, other: State) -> StatedJoint:
        """Joint i, from two states that differ in its angle; the base is labelled 0."""
        base, part = state.parts[0], state.parts[i + 1]
        diagonal = float(np.linalg.norm(np.ptp(np.concatenate(
            [m.vertices for m in state.parts.values()]), axis=0)))
        axis = rotation_axis(base, part, other.parts[i + 1], other.angles[i] - state.angles[i],
                             diagonal)
        low, high = self._range(kind, i, len(state.angles))
        stated = StatedJoint(i + 1, 'revolute', axis.direction, axis.origin, 0.0,
                             low - state.angles[i], high - state.angles[i])
        find = closed_by_shape if kind in CLOSED_BY_SHAPE else closed_at_limit
        return find(kind, base, part, stated)

    def _range(self, kind: str, joint: int, count: int) -> tuple[float, float]:
        """Smallest and largest angle of a class, rad."""
        angles = [state_angles(s, count)[joint] for states in self._states[kind].values()
                  for s in states]
        return min(angles), max(angles)


def _by_object(path: Path, kind: str) -> dict[str, list[str]]:
    """The states that a split file lists, by object."""
    listed = read_json(path, dict).get(DATASET)
    names = listed.get(kind) if isinstance(listed, dict) else None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f'{path} lists no {DATASET!r} states of {kind!r}')
    out: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if Path(name).name != name:
            raise ValueError(f'{path}: {name!r} is no name of a state')
        out[name[:4]].append(name)
    return dict(out)


def _other_state(name: str, states: Sequence[str], joint: int, count: int) -> str:
    """The state of the same object that differs most from another one in one angle alone."""
    own = state_angles(name, count)

    def only(state: str) -> float:
        angles = state_angles(state, count)
        same = all(a == b for i, (a, b) in enumerate(zip(angles, own, strict=True)) if i != joint)
        return abs(angles[joint] - own[joint]) if same else 0.0

    best = max(states, key=only)
    if not only(best):
        raise ValueError(f'no other state of the object differs in angle {joint + 1} alone: its '
                         'axis cannot be found')
    return best
