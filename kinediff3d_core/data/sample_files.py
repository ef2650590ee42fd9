"""Imported objects as files to train from: safetensors, one an object, nothing executable.

What ``kinediff3d import`` writes and ``kinediff3d train --data`` reads. Metres, radians, part
frames; K parts and J joints of the category, those that the object lacks marked in ``exists``.

| tensor | shape | |
|---|---|---|
| surface | (K, S, 3) | points on each part's surface |
| query, distance | (K, Q, 3), (K, Q) | points and their signed distance to the part |
| bounds | (K, 2, 3) | box of each part |
| origin, axis | (J, 3) | joints in the parent's frame |
| exists | (K) | bool |
| points | (V, 1024, 3) | clouds of V views, camera frame |
| T_camera_base, q | (V, 4, 4), (V, J) | of these views |
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.objects.category import Category

SURFACE, QUERIES, POINTS = 1024, 2048, 1024
"""Samples of an instance in training: a file has as many or more."""
MAX_FILE_BYTES = 256 * 2**20
MAX_FILES = 100_000
MAX_LENGTH = 1e3
"""Largest coordinate, m."""
SIZE = 0.1
"""Objects are made up to this share larger or smaller each time they are drawn, which is exact."""


def write_object(tensors: dict[str, Tensor], category: Category, path: Path) -> None:
    """Write one object, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(partial),
              metadata={'category': category.name})
    partial.chmod(0o644)
    os.replace(partial, path)


def read_object(path: Path, category: Category) -> dict[str, Tensor]:
    """The tensors of one object.

    Raises:
        ValueError: too large, no safetensors, of another category, or tensors that are missing,
            of a wrong shape or not finite; the message names the file.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f'{path} has more than {MAX_FILE_BYTES} bytes')
    try:
        with safe_open(str(path), framework='pt') as file:
            name = (file.metadata() or {}).get('category')
            found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} is not a whole safetensors file ({error}); import it again'
                         ) from error
    if name != category.name:
        raise ValueError(f'{path} is of category {name!r}, not {category.name!r}')
    for key, shape in _shapes(category).items():
        x = found.get(key)
        if x is None or x.dim() != len(shape) or any(
                n != w and not (w < 0 and n >= -w) for n, w in zip(x.shape, shape, strict=True)):
            told = ', '.join(str(w) if w > 0 else f'{-w} or more' for w in shape)
            raise ValueError(f'{path}: tensor {key!r} must have the shape ({told}), it '
                             f'{"is missing" if x is None else f"has {tuple(x.shape)}"}')
        kind = torch.bool if key == 'exists' else torch.float32
        if x.dtype != kind:
            raise ValueError(f'{path}: tensor {key!r} is {x.dtype}, not {kind}')
        if not bool((x.abs() <= MAX_LENGTH).all() if x.is_floating_point() else x[:2].all()):
            raise ValueError(f'{path}: tensor {key!r} has values that no object has')
    return found


def _shapes(category: Category) -> dict[str, tuple[int, ...]]:
    """Shapes that a file must have; -n is any number from n on."""
    K, J = len(category.parts), len(category.joints)
    return {'surface': (K, -SURFACE, 3), 'query': (K, -QUERIES, 3), 'distance': (K, -QUERIES),
            'bounds': (K, 2, 3), 'origin': (J, 3), 'axis': (J, 3), 'exists': (K,),
            'points': (-1, POINTS, 3), 'T_camera_base': (-1, 4, 4), 'q': (-1, J)}


class ImportedObjects:
    """The objects of a folder, read as they are drawn.

    Raises:
        ValueError: no such folder, no object in it, too many, or a file that does not fit.
    """

    def __init__(self, folder: Path, category: Category, device: torch.device) -> None:
        if not folder.is_dir():
            raise ValueError(f'--data {folder} is not a folder')
        self.files = sorted(folder.glob('*.safetensors'))
        self.category, self.device = category, device
        if not 0 < len(self.files) <= MAX_FILES:
            raise ValueError(f'--data {folder} has {len(self.files)} *.safetensors, expected 1 to '
                             f'{MAX_FILES}; write them with "kinediff3d import"')
        read_object(self.files[0], category)

    def draw(self, n: int, generator: torch.Generator, shapes: bool, views: int,
             ) -> dict[str, Tensor]:
        """n random objects, canonical units, as :class:`kinediff3d_core.training.pool.Pool` keeps
        them; errors as of :func:`read_object`."""
        def some(high: int, count: int) -> Tensor:
            return torch.randint(high, (count,), generator=generator, device=self.device)

        drawn = []
        for i in some(len(self.files), n).tolist():
            x = {k: v.to(self.device) for k, v in read_object(self.files[i],
                                                              self.category).items()}
            size = 1 + SIZE * (2 * float(torch.rand(1, generator=generator, device=self.device))
                               - 1)
            metre = size / self.category.scale
            one = {'origin': x['origin'] * metre, 'axis': x['axis'], 'exists': x['exists']}
            if shapes:
                query = some(x['query'].shape[1], QUERIES)
                one |= {'surface': x['surface'][:, some(x['surface'].shape[1], SURFACE)] * metre,
                        'query': x['query'][:, query] * metre,
                        'distance': x['distance'][:, query] * metre,
                        'centre': x['bounds'].mean(1) * metre,
                        'half': (x['bounds'][:, 1] - x['bounds'][:, 0]) * metre / 2}
            if views:
                view = some(len(x['points']), views)
                T = x['T_camera_base'][view]
                T[:, :3, 3] *= metre
                grown = torch.tensor([1.0 if j.joint_type == 'revolute' else size
                                      for j in self.category.joints], device=self.device)
                unit = joint_units(self.category.joints, self.category.scale).to(self.device)
                one |= {'points': x['points'][view] * metre, 'T': T,
                        'q': x['q'][view] * grown / unit,
                        'valid': torch.ones(views, dtype=torch.bool, device=self.device)}
            drawn.append(one)
        return {k: torch.stack([one[k] for one in drawn]) for k in drawn[0]}
