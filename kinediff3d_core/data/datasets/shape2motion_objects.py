"""Shape2Motion in the layout of ANCSH's code: meshes of parts, and a JSON tree of joints.

``<root>/objects/<class>/<id>/{*.json, part_objs/*.obj}``. Nodes of the tree have ``dof_name``,
``center``, ``direction`` and ``motion_type``; the root's mesh is ``none_motion.obj``. There are no
limits and no unit, and the upward direction is not stated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import degrees
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.data.datasets.canonical import StatedJoint
from kinediff3d_core.data.datasets.joint_sense import closed_without_limits
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.datasets.mesh_dataset import MeshDataset, checked_split
from kinediff3d_core.data.datasets.mesh_models import (
    MeshModel,
    PlacedObject,
    canonical_object,
)
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.io.files import checked_file
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]

CLASSES = ('laptop', 'eyeglasses', 'stapler')
"""Classes of Shape2Motion that are our categories, by the same names."""
TEST_IDS = {'eyeglasses': ('0007', '0016', '0036'), 'laptop': ('0004', '0008', '0069')}
"""ANCSH's test objects."""
CLOSED_DIAGONAL = {'laptop': 0.396, 'eyeglasses': 0.194, 'stapler': 0.112}
"""Diagonal of an object's box at q = 0, m: Shape2Motion has no unit, so that every object is made
this large. Measured: the median of 200 procedural objects
(test/data/datasets/test_mesh_models.py)."""
SLACK_DEG = 10.0
"""How far the stored position may be outside of a category's limits, degrees. Chosen."""
NOTE = 'size, limits and sense of the joints are inferred: the data set has none'
ROOT, ROOT_MESH = 'dof_rootd', 'none_motion'
MAX_NODES = 100
"""Largest number of nodes of a tree. Chosen."""


class Shape2MotionObjects(MeshDataset):
    """One split: ``test`` are ANCSH's test objects, ``train`` all others of ours.

    An object is called ``<class>/<id>``.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        split = checked_split(split, self.splits)
        names: dict[str, list[str]] = {}
        other: Counter[str] = Counter()
        for folder in sorted(p for p in (root / 'objects').glob('*/*') if p.is_dir()):
            kind = folder.parent.name
            if kind not in CLASSES:
                other[kind] += 1
            elif (folder.name in TEST_IDS.get(kind, ())) == (split == 'test'):
                names.setdefault(kind, []).append(f'{kind}/{folder.name}')
        super().__init__(root, names, tuple(
            f'{n} objects: {kind} is no category of ours' for kind, n in sorted(other.items())))

    def read_object(self, name: str, category: str) -> tuple[MeshObject, tuple[str, ...]]:
        """An object in the canonical frame, m, and one note for each thing that was inferred.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """
        folder = self.root / 'objects' / name
        try:
            found = _read_model(folder, name, category)
        except ValueError as error:
            raise ValueError(f'{folder}: {error}') from error
        return found.obj, (NOTE,)


def _read_model(folder: Path, name: str, category: str) -> PlacedObject:
    """The object of a folder in the canonical frame, m."""
    trees = sorted(folder.glob('*.json'))
    if len(trees) != 1:
        raise ValueError(f'it must hold exactly one *.json, it has {len(trees)}')
    nodes = [n for n in _nodes(read_json(trees[0], dict), None) if n[1] is not None]
    if any(parent != ROOT for _, parent in nodes):
        raise ValueError('a moving part hangs on another one')
    meshes = [_read_mesh(folder, ROOT_MESH)]
    meshes += [_read_mesh(folder, str(node.get('dof_name'))) for node, _ in nodes]
    joints = tuple(_joint(category, node, i, meshes)
                   for i, (node, _) in enumerate(nodes, start=1))
    if not joints:
        raise ValueError('it has no moving part')
    return placed(MeshModel(name, category, tuple(meshes), joints, inferred_up(category, joints)))


def placed(model: MeshModel) -> PlacedObject:
    """A model of Shape2Motion, in any unit, in the canonical frame and of its category's size.

    Raises:
        ValueError: as :func:`canonical_object`; or its stored position is none of its category's,
            so that the closed position or the sense that was inferred is wrong.
    """
    found = canonical_object(model)
    joints = get_category(found.obj.category).joints
    for joint, q in zip(joints, np.degrees(found.positions).tolist(), strict=True):
        if not degrees(joint.lower) - SLACK_DEG <= q <= degrees(joint.upper) + SLACK_DEG:
            raise ValueError(f'its {joint.name} would be stored at {q:.0f}°, which no '
                             f'{found.obj.category} has: closed position or sense are wrong')
    return found.resized(CLOSED_DIAGONAL[model.category] / found.closed_diagonal)


def inferred_up(category: str, joints: tuple[StatedJoint, ...]) -> Array | None:
    """The positive axis of the frame that the hinges of eyeglasses are along; else None."""
    if category != 'eyeglasses':
        return None
    return np.asarray(np.eye(3)[int(np.argmax(np.abs(joints[0].axis)))])


def _joint(category: str, node: dict[str, Any], child: int, meshes: list[Mesh]) -> StatedJoint:
    """A joint of the tree; its limits are the category's."""
    if node.get('motion_type') != 'rotation':
        raise ValueError(f'{node.get("dof_name")} moves by {node.get("motion_type")!r}, the parts '
                         f'of a {category} rotate')
    origin, axis = _vector(node, 'center'), _vector(node, 'direction')
    length = float(np.linalg.norm(axis))
    if not length > 0:
        raise ValueError(f'{node.get("dof_name")} has no direction')
    return closed_without_limits(category, meshes[0], meshes[child], StatedJoint(
        child, 'revolute', axis / length, origin, 0.0, 0.0, 0.0))


def _nodes(node: dict[str, Any], parent: str | None, depth: int = 0,
           ) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield the nodes of a tree with the names of their parents; None of the root."""
    if depth > MAX_NODES:
        raise ValueError(f'its tree is more than {MAX_NODES} nodes deep')
    yield node, parent
    children = node.get('children') or []
    if not isinstance(children, list) or not all(isinstance(c, dict) for c in children):
        raise ValueError('the children of a node are no list of nodes')
    for child in children:
        yield from _nodes(child, str(node.get('dof_name')), depth + 1)


def _vector(node: dict[str, Any], key: str) -> Array:
    try:
        value = np.array(node.get(key), dtype=np.float64).reshape(3)
    except (TypeError, ValueError):
        value = np.full(3, np.nan)
    if not np.isfinite(value).all():
        raise ValueError(f'{node.get("dof_name")} needs three numbers as {key!r}')
    return value


def _read_mesh(folder: Path, name: str) -> Mesh:
    """A part's mesh."""
    if Path(name).name != name:
        raise ValueError(f'{name!r} is no name of a mesh')
    return read_obj(folder / 'part_objs' / f'{name}.obj')


def read_obj(path: Path) -> Mesh:
    """The triangles of an ``.obj`` file.

    Raises:
        ValueError: missing, damaged, or without faces.
    """
    import trimesh

    with checked_file(path, 'mesh').open('rb') as stream:
        try:
            mesh: Any = trimesh.load(stream, file_type='obj', force='mesh', process=False,
                                     skip_materials=True)
            vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
        except Exception as error:  # trimesh passes on whatever its parser raises
            raise ValueError(f'{path} is not a readable mesh ({type(error).__name__})') from error
    if not len(faces):
        raise ValueError(f'{path} has no faces: it can neither be rendered nor trained on')
    if not np.isfinite(vertices).all():
        raise ValueError(f'{path} has vertices that are not finite')
    return Mesh(vertices.astype(np.float64), faces.astype(np.int64))
