"""Estimates on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.geometry.kinematics import JOINT_TYPES
from kinediff3d_core.io.files import Array, checked_file, listed, shortened, write_text
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    PartEstimate,
)


def write_estimate(estimate: ArticulatedEstimate, out_dir: Path | str,
                   weights: Path | None = None) -> Path:
    """Write ``estimate.json``, ``object.urdf`` and ``meshes/<part>.obj`` into a folder.

    Args:
        weights: folder of the networks that made it; None means the shipped ones.

    Returns:
        The path of ``estimate.json``, from which :func:`read_estimate` reads it all again.
    """
    out = Path(out_dir)
    write_urdf(estimate, out)
    content = estimate.to_dict()
    content['meshes'] = {p.name: f'meshes/{p.name}.obj' for p in estimate.parts
                         if p.mesh is not None}
    content['weights'] = None if weights is None else str(weights.resolve())
    write_text(out / 'estimate.json', json.dumps(content, indent=1, allow_nan=False) + '\n')
    return out / 'estimate.json'


def read_estimate(path: Path | str) -> ArticulatedEstimate:
    """An estimate from ``estimate.json``, or from the folder that holds it, with its meshes.

    The points that were used are not stored.

    Raises:
        ValueError: missing or damaged.
    """
    file = Path(path)
    file = checked_file(file / 'estimate.json' if file.is_dir() else file, 'estimate')
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        meshes = {name: _load_obj(file.parent, relative)
                  for name, relative in content.get('meshes', {}).items()}
        parts = tuple(PartEstimate(p['name'], _array(p['T_camera_part'], (4, 4)),
                                   meshes.get(p['name'])) for p in content['parts'])
        names = [p.name for p in parts]
        joints = tuple(JointEstimate(
            j['name'], j['joint_type'], names[names.index(j['parent'])],
            names[names.index(j['child'])], _array(j['origin'], (3,)), _array(j['axis'], (3,)),
            float(j['position']), float(j['limit']['lower']), float(j['limit']['upper']),
            float(j['std']), float(j['probability'])) for j in content['joints'])
        _require_joints(names, joints)
        modes = tuple(Mode(float(m['weight']), _array(m['T_camera_base'], (4, 4)),
                           _array(m['positions'], (len(joints),)), float(m['residual']))
                      for m in content['modes'])
        return ArticulatedEstimate(
            str(content['category']), parts, joints, _array(content['covariance'], (6, 6)),
            float(content['residual']), float(content['confidence']), modes,
            _array(content['latent'], (len(content['latent']),)), np.zeros((0, 3)),
            {str(k): float(v) for k, v in content.get('seconds', {}).items()},
            {str(k): float(v) for k, v in content.get('categories', {}).items()},
            support=float(content.get('support', 1.0)))
    except KeyError as error:
        raise ValueError(f'{file}: not an estimate ({error} is missing)') from error
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = shortened(error)
        raise ValueError(reason if str(file.parent) in reason else
                         f'{file}: not an estimate ({reason})') from error


def weights_of(path: Path | str) -> Path | None:
    """Folder of the networks that made an estimate; None means the shipped ones.

    Args:
        path: as for :func:`read_estimate`.

    Raises:
        ValueError: no estimate there, or the folder is there no more.
    """
    file = Path(path)
    file = checked_file(file / 'estimate.json' if file.is_dir() else file, 'estimate')
    try:
        folder = json.loads(file.read_text(encoding='utf-8')).get('weights')
    except (AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f'{file}: not an estimate; expected the estimate.json of infer'
                         ) from error
    if folder is None:
        return None
    if not Path(str(folder)).is_dir():
        raise ValueError(f'{file} was made with the weights in {folder}, which is no folder here: '
                         'give --weights')
    return Path(str(folder))


def _require_joints(parts: Sequence[str], joints: Sequence[JointEstimate]) -> None:
    """Refuse joints of an unknown type, and others than one for each part after the base."""
    for joint in joints:
        if joint.joint_type not in JOINT_TYPES:
            raise ValueError(f'the joint_type {joint.joint_type!r}')
    if not parts or sorted(j.child for j in joints) != sorted(parts[1:]):
        raise ValueError(f'the parts {listed(parts)}, of which joints move '
                         f'{listed(j.child for j in joints) or "none"}')


def _array(values: Any, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f'finite numbers of shape {shape} expected, got shape {array.shape}')
    return array


def _load_obj(folder: Path, relative: str) -> Mesh:
    """A mesh written by :func:`write_estimate`."""
    import trimesh

    root = folder.resolve()
    file = (root / relative).resolve()
    if not file.is_relative_to(root):
        raise ValueError(f'mesh {relative!r} lies outside {folder}')
    checked_file(file, 'mesh')
    try:
        with file.open('rb') as stream:
            tm: Any = trimesh.load(stream, file_type='obj', force='mesh', process=False,
                                   maintain_order=True)
        return Mesh(np.asarray(tm.vertices), np.asarray(tm.faces))
    except Exception as error:  # trimesh passes on whatever its parsers raise
        raise ValueError(f'{folder}: mesh {relative!r} is not readable '
                         f'({type(error).__name__})') from error
