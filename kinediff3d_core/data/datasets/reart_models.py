"""The models of ReArt-48, as ``urdf_metas.json`` states them (docs/datasets.md).

Of each part only the box is stated, and of a joint neither the limits nor the closed state. The
closed state is inferred, by one rule a category.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.data.datasets.canonical import (
    CanonicalModel,
    StatedJoint,
    StatedModel,
    canonical_model,
)
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.objects.category import Category, get_category

Array = np.ndarray[Any, Any]

CATEGORY_IDS = {1: 'box', 2: 'stapler', 3: 'cutter', 4: 'drawer', 5: 'scissors'}
"""Our categories by ``category_id``."""
THEIR_NAMES = {'scissor': 'scissors'}
"""Our names of categories that ReArt-48 calls otherwise."""
CYCLE = [1, 2, 0]
"""Order in which the model's frame takes the coordinates of ``joint_xyz`` and ``joint_rpy``."""
UP = np.array([0.0, 0.0, 1.0])
"""Upward direction of the models."""

NOTES = {
    'box': 'boxes: closed is half a turn from the model as stored, whose lid lies flat open',
    'stapler': 'staplers: closed is where the middle of the arm\'s box is in front of the '
               'hinge; the data set does not state it, joint errors are good to some degrees',
    'cutter': 'cutters: retracted is where the blade\'s tip is flush with the handle\'s box',
    'drawer': 'drawers: closed is as the model is stored',
    'scissors': 'scissors: closed is a quarter turn from the model as stored, whose halves cross '
                'at a right angle',
}
"""What is inferred about the joints of a category."""


@dataclass(frozen=True)
class ReArtModel:
    """A model in the canonical frame; ``note`` says what of it is inferred."""

    category: str
    canonical: CanonicalModel
    note: str


def read_models(path: Path) -> dict[int, Any]:
    """The entries of ``urdf_metas.json`` by the model's id.

    Raises:
        ValueError: missing, damaged, or without models.
    """
    entries = read_json(path, dict).get('urdf_metas')
    if not isinstance(entries, list):
        raise ValueError(f'{path} has no list "urdf_metas"')
    return {e['id']: e for e in entries if isinstance(e, dict) and isinstance(e.get('id'), int)}


def reart_model(entry: Any) -> ReArtModel:
    """The model of an entry of ``urdf_metas.json``, in the canonical frame.

    Raises:
        ValueError: an entry that is incomplete, or that is no object of its category.
    """
    try:
        category = get_category(THEIR_NAMES.get(entry['category_name'], entry['category_name']))
        boxes = np.array(entry['corner_pts'], dtype=np.float64).reshape(-1, 2, 3)[1:]
        lists = [entry[key] for key in ('joint_types', 'joint_parents', 'joint_children',
                                        'joint_xyz', 'joint_rpy')]
        joints = [_stated_joint(category, boxes, values)
                  for values in zip(*lists, strict=True)]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f'an entry of urdf_metas.json lacks {error}') from error
    if len(boxes) != len(entry['link_names']) or not np.isfinite(boxes).all():
        raise ValueError(f'{len(boxes)} boxes for {len(entry["link_names"])} links')
    found = canonical_model(StatedModel(category, tuple(_corners(b) for b in boxes),
                                        tuple(joints), UP))
    _check_closed(found)
    return ReArtModel(category.name, found, NOTES[category.name])


def _stated_joint(category: Category, boxes: Array, values: tuple[str, int, int, Any, Any],
                  ) -> StatedJoint:
    """A joint in the model's frame.

    Args:
        values: type, parent and child (links are counted from 1), ``joint_xyz`` and
            ``joint_rpy``, which is the axis.
    """
    kind, parent, child, xyz, rpy = values
    if parent != 1 or not 2 <= child <= len(boxes):
        raise ValueError(f'a joint from link {parent} to link {child} of {len(boxes)}; the parent '
                         'must be link 1')
    axis = np.array(rpy, dtype=np.float64)[CYCLE]
    length = np.linalg.norm(axis)
    if not length > 0:
        raise ValueError(f'a joint has the axis {rpy}')
    joint = StatedJoint(child - 1, kind, axis / length, np.array(xyz, dtype=np.float64)[CYCLE],
                        0.0, 0.0, 0.0)
    base, part = _corners(boxes[0]), _corners(boxes[child - 1])
    if category.name == 'cutter' and (part.mean(0) - base.mean(0)) @ joint.axis < 0:
        joint = replace(joint, axis=-joint.axis)  # It is stored with the blade out.
    closed = _closed(category.name, joint, base, part)
    travel = category.joints[0].upper  # The limits are not stated.
    return replace(joint, closed=closed, lower=closed, upper=closed + travel)


def _closed(category: str, joint: StatedJoint, base: Array, part: Array) -> float:
    """Position, rad or m, at which a joint is closed, relative to the model as stored."""
    if category == 'box':
        return -pi
    if category == 'scissors':
        return -pi / 2
    if category == 'cutter':
        return float((base @ joint.axis).max() - (part @ joint.axis).max())
    if category == 'stapler':
        front, arm = (p.mean(0) - joint.origin for p in (base, part))
        for direction in (UP, joint.axis):
            front = front - (front @ direction) * direction
        return -float(np.arctan2(np.cross(front, arm) @ joint.axis, front @ arm))
    return 0.0


def _check_closed(model: CanonicalModel) -> None:
    """Check that closed parts are over the base along x, as all of these categories' are.

    Raises:
        ValueError: one is not: the axis or the closed state is not what is inferred.
    """
    for joint, origin in zip(model.joints, model.origin, strict=True):
        middle = origin[0] + model.bounds[joint.child, :, 0].mean()
        if abs(middle) > model.bounds[0, 1, 0]:
            raise ValueError(f'{joint.name} does not move its part over the base: its axis or '
                             'closed state is not the expected one')


def _corners(box: Array) -> Array:
    """The corners (8, 3) of a box (2, 3)."""
    return np.stack(np.meshgrid(*box.T, indexing='ij'), -1).reshape(-1, 3)
