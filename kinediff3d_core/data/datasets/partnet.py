"""PartNet-Mobility: one folder an object, which we render (docs/datasets.md).

``<root>/<id>/{mobility.urdf, meta.json, semantics.txt, bounding_box.json, textured_objs/*.obj}``.
"""

from __future__ import annotations

from collections import Counter
from math import cos, radians
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.data.datasets.canonical import StatedJoint
from kinediff3d_core.data.datasets.joint_sense import closed_at_limit, closed_without_limits
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.datasets.mesh_dataset import MeshDataset, checked_split
from kinediff3d_core.data.datasets.mesh_models import (
    HALF_DIAGONAL,
    MeshModel,
    canonical_object,
)
from kinediff3d_core.data.mesh_objects import MeshObject, load_object, merge_meshes
from kinediff3d_core.io.files import checked_file
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]

TEST_IDS = {
    'laptop': (10040, 10885, 11242, 11030, 11156),
    'eyeglasses': (101300, 101859, 102586, 102590, 102596, 102612),
    'dishwasher': (11700, 12530, 12559, 12580),
    'drawer': (46123, 45841, 46440),
    'scissors': (10449, 10502, 10569, 10907),
}
"""ArtImage's test objects, which are PartNet-Mobility's, in its order."""
MODEL_CATEGORIES = {
    'Laptop': ('laptop',), 'Eyeglasses': ('eyeglasses',), 'Dishwasher': ('dishwasher',),
    'Scissors': ('scissors',), 'StorageFurniture': ('drawer', 'cabinet'),
    'Table': ('drawer', 'cabinet'), 'Box': ('box',), 'Stapler': ('stapler',), 'Knife': ('cutter',),
    'Refrigerator': ('cabinet',), 'Microwave': ('cabinet',), 'WashingMachine': ('cabinet',),
    'Safe': ('cabinet',)}
"""Our categories by ``model_cat``. Drawers, cabinets and cutters must also have the right joints.
Furniture with drawers and doors is of both: the doors of a drawer object stay closed, and so do
the drawers of a cabinet."""
CABINETS = {'Refrigerator': 0.83, 'Microwave': 0.27, 'WashingMachine': 0.68, 'Safe': 0.46}
"""Half of the diagonal of these cabinets, m. Measured: the medians of procedural ones of that kind
with closed doors, which is how they are stored (test/data/datasets/test_partnet.py)."""
NAMED = {'drawer': 'drawer', 'cabinet': 'door'}
"""What the moving parts of a category are called, where others slide or turn, too."""
VERTICAL_DEG = 10.0
"""Largest angle of a hinge of a cabinet's door from upright, degrees. Chosen."""
SMALLEST = 0.2
"""A moving part that is smaller, as a share of the largest part, is a knob, a button or a key.
Chosen."""
UP = np.array([0.0, 0.0, 1.0])
"""Upward direction of the URDFs' root frame."""
FULL_TURN = radians(359.0)
"""A range of a joint, rad, from which on its limits are none. Chosen."""
BOX = 0.02
"""Largest difference of the meshes from ``bounding_box.json``, as a share of the box. Chosen."""


class PartNet(MeshDataset):
    """One split: ``test`` are ArtImage's test objects, ``train`` all others of ours.

    An object is called as its folder.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        root, split = Path(root), checked_split(split, self.splits)
        folders = sorted((p for p in root.iterdir() if p.name.isdecimal() and p.is_dir()),
                         key=lambda p: int(p.name)) if root.is_dir() else []
        if not folders:
            raise ValueError(f'{root} has no folder <id> with a mobility.urdf and a meta.json, as '
                             'PartNet-Mobility has')
        names: dict[str, list[str]] = {}
        other: Counter[str] = Counter()
        for folder in folders:
            found, reason = _categories(folder)
            if not found:
                other[reason] += 1
            for category in found:
                if (int(folder.name) in TEST_IDS.get(category, ())) == (split == 'test'):
                    names.setdefault(category, []).append(folder.name)
        super().__init__(root, names, tuple(
            f'{n} objects: {reason}' for reason, n in sorted(other.items())))

    def read_object(self, name: str, category: str) -> tuple[MeshObject, tuple[str, ...]]:
        """An object in the canonical frame, m, and one note for each thing that was inferred.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """
        folder = self.root / name
        obj = load_object(folder)
        try:
            model, notes = _stated(obj, category, read_semantics(folder),
                                   _metres(folder, category))
            note = _box_note(folder, obj)
            return canonical_object(model).obj, (*notes, *([note] if note else []))
        except ValueError as error:
            raise ValueError(f'{folder}: {error}') from error


def read_semantics(folder: Path) -> dict[str, tuple[str, str]]:
    """Kind of joint and name of each link, by ``semantics.txt``.

    Raises:
        ValueError: missing or damaged.
    """
    path = checked_file(folder / 'semantics.txt', 'file')
    out = {}
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        words = line.split()
        if words and len(words) != 3:
            raise ValueError(f'{path}: {line[:80]!r} is not "<link> <joint> <name>"')
        if words:
            out[words[0]] = (words[1], words[2])
    return out


def _categories(folder: Path) -> tuple[list[str], str]:
    """Our categories of an object, or none and why."""
    try:
        meta = read_json(folder / 'meta.json', dict)
        model = str(meta.get('model_cat'))
        if model not in MODEL_CATEGORIES:
            return [], f'{model} is no category of ours'
        kinds = Counter(_joint_kind(*words) for words in read_semantics(folder).values())
    except ValueError as error:
        return [], str(error)
    categories = MODEL_CATEGORIES[model]
    if categories == ('cutter',) and (kinds['slider'] != 1 or kinds['hinge']):
        return [], f'{model} whose only joint is not a slider'
    found = [c for c in categories if c not in NAMED
             or 1 <= kinds[NAMED[c]] <= len(get_category(c).joints)]
    return found, '' if found else model + ' with neither ' + ' nor '.join(
        f'1 to {len(get_category(c).joints)} {NAMED[c]}s' for c in categories)


def _metres(folder: Path, category: str) -> float:
    """Length of an object's unit, m."""
    model = str(read_json(folder / 'meta.json', dict).get('model_cat'))
    return CABINETS.get(model, HALF_DIAGONAL[category])


def _joint_kind(kind: str, name: str) -> str:
    """``door`` (on a hinge), ``drawer``, or the kind of joint."""
    if kind.startswith('hinge') and name.endswith('door'):
        return 'door'
    return 'drawer' if kind.startswith('slider') and name == 'drawer' else kind


def _own_joints(obj: MeshObject, category: str, semantics: dict[str, tuple[str, str]],
                ) -> list[int]:
    """Indices of the joints that are the category's; others, as of knobs, stay at their zero.

    Drawers are those that are called so, doors of cabinets also must have upright hinges.
    Otherwise the largest parts of the right type are meant.

    Raises:
        ValueError: there are fewer than the category has, or more doors.
    """
    wanted = get_category(category).joints
    kind = wanted[0].joint_type
    size = np.linalg.norm(np.ptp(obj.bounds, axis=1), axis=-1)
    found = [i for i, j in enumerate(obj.joints)
             if j.joint_type == kind and size[i + 1] > SMALLEST * size.max()]
    if category in NAMED:
        found = [i for i in found if
                 _joint_kind(*semantics.get(obj.parts[i + 1], ('', ''))) == NAMED[category]]
    if category == 'cabinet':
        upright = cos(radians(VERTICAL_DEG))
        found = [i for i in found if abs(UP @ np.array(obj.joints[i].axis)) > upright]
        if len(found) > len(wanted):
            raise ValueError(f'it has {len(found)} doors on upright hinges, a cabinet has at most '
                             f'{len(wanted)}')
    least = min(map(len, get_category(category).possible_sets))
    if len(found) < least:
        raise ValueError(f'it has {len(found)} {kind} joints of large parts, a {category} has '
                         f'{least}')
    return sorted(sorted(found, key=lambda i: -size[i + 1])[:len(wanted)])


def _stated(obj: MeshObject, category: str, semantics: dict[str, tuple[str, str]],
            metres: float) -> tuple[MeshModel, tuple[str, ...]]:
    """The object as stated, m, with all parts but the category's moving ones in the base."""
    keep = _own_joints(obj, category, semantics)
    own, place = [0], [np.zeros(3)]  # of each part: the part that it belongs to; its frame
    for i, j in enumerate(obj.joints):
        own.append(keep.index(i) + 1 if i in keep else own[j.parent])
        place.append(place[j.parent] + obj.origin[i])
        if i in keep and own[j.parent]:
            raise ValueError(f'{obj.parts[i + 1]} hangs on another moving part')
    placed = [Mesh((m.vertices + p) * metres, m.faces)
              for m, p in zip(obj.meshes, place, strict=True)]
    meshes = tuple(merge_meshes([m for m, k in zip(placed, own, strict=True) if k == part])
                   for part in range(len(keep) + 1))
    joints = []
    for part, i in enumerate(keep, start=1):
        j = obj.joints[i]
        unit = metres if j.joint_type == 'prismatic' else 1.0
        stated = StatedJoint(part, j.joint_type, np.array(j.axis), place[i + 1] * metres, 0.0,
                             j.lower * unit, j.upper * unit)
        turns = j.joint_type == 'revolute' and j.upper - j.lower >= FULL_TURN
        find = closed_without_limits if turns else closed_at_limit
        joints.append(find(category, meshes[0], meshes[part], stated))
    notes = [f'1 unit is {metres:g} m: the data set has no unit']
    if len(keep) < len(obj.joints):
        notes.append(f'moving parts that no {category} has are fixed at zero')
    return MeshModel(obj.name, category, meshes, tuple(joints), UP), tuple(notes)


def _box_note(folder: Path, obj: MeshObject) -> str:
    """What is wrong with the size of the meshes at zero; empty if it is ``bounding_box.json``'s.

    The box is y-up; in the URDFs' root frame z is up and the box's z is -x. The base's frame has
    been moved to the centre of its box, so only sizes are compared.
    """
    path = folder / 'bounding_box.json'
    if not path.exists():
        return 'no bounding_box.json: sizes are not checked'
    box = read_json(path, dict)
    try:
        stated = np.ptp(np.array([box['min'], box['max']], dtype=np.float64).reshape(2, 3), axis=0)
    except (KeyError, TypeError, ValueError):
        return 'bounding_box.json has no min and max of three numbers'
    place = [np.zeros(3)]
    for i, j in enumerate(obj.joints):
        place.append(place[j.parent] + obj.origin[i])
    ends = np.concatenate([obj.bounds[k] + p for k, p in enumerate(place)])
    found = np.ptp(ends, axis=0)
    if not np.abs(found - stated[[2, 0, 1]]).max() <= BOX * np.linalg.norm(stated):
        return (f'the meshes measure {np.round(found, 3).tolist()} along x, y, z, '
                f'bounding_box.json says {np.round(stated[[2, 0, 1]], 3).tolist()}')
    return ''
