"""Imported objects as files to train from: safetensors, one an object, nothing executable.

``kinediff3d import`` writes them and ``kinediff3d train --data`` reads them. Metres, radians, part
frames. K parts and J joints of the category; ``exists`` says which parts the object has.

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

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kinediff3d_core.data.samples import FOREIGN
from kinediff3d_core.geometry.kinematics import Joint, forward_kinematics, joint_units
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.io.files import write_bytes
from kinediff3d_core.objects.category import Category

SURFACE, QUERIES, POINTS = 1024, 2048, 1024
"""Samples of an instance in a training step; a file has at least as many."""
MAX_FILE_BYTES = 256 * 2**20
"""Largest file that is read, bytes. Chosen."""
MAX_FILES = 100_000
"""Largest number of files of a folder. Chosen."""
MAX_LENGTH = 1e3
"""Largest absolute value in a file, m or rad. Chosen."""
FAR_SHARE = 0.04
"""Points farther from all surface samples than this share of the base's size are foreign.
Chosen: samples are about 3 % apart."""
SIZE = 0.1
"""Each time an object is drawn it is scaled by a factor from 1 - SIZE to 1 + SIZE. Chosen."""


def write_object(tensors: dict[str, Tensor], category: Category, path: Path,
                 origin: str = '') -> None:
    """Write one object's tensors to a file, atomically.

    Args:
        origin: what the tensors were made from, for :func:`origin_of`.
    """
    write_bytes(path, save({k: v.contiguous() for k, v in tensors.items()},
                           {'category': category.name, 'origin': origin}))


def origin_of(path: Path) -> str:
    """What a file's tensors were made from; empty where there is no whole file that says it."""
    try:
        with safe_open(str(path), framework='pt') as file:
            return str((file.metadata() or {}).get('origin', ''))
    except (SafetensorError, OSError):
        return ''


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
        reason = _fault(found.get(key), shape, torch.bool if key == 'exists' else torch.float32)
        if reason:
            raise ValueError(f'{path}: tensor {key!r} {reason}')
    if not _is_possible(found['exists'], category):
        raise ValueError(f"{path}: tensor 'exists' has values that no object has")
    return found


def _fault(x: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> str:
    """What is wrong with a tensor; empty if nothing is."""
    if x is None or x.dim() != len(shape) or any(
            n != w and not (w < 0 and n >= -w) for n, w in zip(x.shape, shape, strict=True)):
        wanted = ', '.join(str(w) if w > 0 else f'{-w} or more' for w in shape)
        return (f'must have the shape ({wanted}), it '
                f'{"is missing" if x is None else f"has {tuple(x.shape)}"}')
    if x.dtype != dtype:
        return f'is {x.dtype}, not {dtype}'
    if x.is_floating_point() and not bool((x.abs() <= MAX_LENGTH).all()):
        return 'has values that no object has'
    return ''


def _is_possible(exists: Tensor, category: Category) -> bool:
    """Whether objects of a category may have just these parts (K,) bool."""
    kept = torch.nonzero(exists)[:, 0].tolist()
    return kept[:1] == [0] and tuple(kept[1:]) in category.possible_sets


def _shapes(category: Category) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a file; -n stands for n or more."""
    K, J = len(category.parts), len(category.joints)
    return {'surface': (K, -SURFACE, 3), 'query': (K, -QUERIES, 3), 'distance': (K, -QUERIES),
            'bounds': (K, 2, 3), 'origin': (J, 3), 'axis': (J, 3), 'exists': (K,),
            'points': (-1, POINTS, 3), 'T_camera_base': (-1, 4, 4), 'q': (-1, J)}


def nearest_part(x: dict[str, Tensor], cloud: Tensor, T_camera_base: Tensor, q: Tensor,
                 joints: tuple[Joint, ...]) -> Tensor:
    """The part (V, P) uint8 whose surface samples are nearest to each point of V clouds.

    About ``SURFACE`` samples of each part are compared: the time is proportional to their number.
    Points that are far from all of them have the label ``FOREIGN``.

    Args:
        x: tensors of an object. cloud: (V, P, 3), T_camera_base: (V, 4, 4), q: (V, J), m and rad.
    """
    samples = x['surface'][:, ::max(x['surface'].shape[1] // SURFACE, 1)]
    count = samples.shape[1]
    poses = forward_kinematics(joints, T_camera_base, q, x['origin'].expand(len(q), -1, 3),
                               x['axis'].expand(len(q), -1, 3))
    surface = transform_points(poses, samples)
    base = surface[:, 0]
    size = (base.amax(1) - base.amin(1)).norm(dim=-1)
    surface = surface.masked_fill(~x['exists'][:, None, None], MAX_LENGTH).flatten(1, 2)
    distance, nearest = torch.cdist(cloud, surface).min(-1)
    label = (nearest // count).to(torch.uint8)
    return label.masked_fill(distance > FAR_SHARE * size[:, None], FOREIGN)


class ImportedObjects:
    """The objects of a folder, each read when it is drawn.

    Args:
        folder: with one file an object.
        category: of all of them.
        device: of the tensors that are drawn.

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
        """n random objects in canonical units, each made up to ``SIZE`` larger or smaller.

        Args:
            generator: on the device.
            shapes: also draw samples of the parts' surfaces and distances.
            views: number of views of each object.

        Returns:
            Tensors (n, ...) as :class:`kinediff3d_core.training.pool.Pool` stores them.

        Raises:
            ValueError: as :func:`read_object`.
        """
        drawn = []
        for i in self._indices(len(self.files), n, generator).tolist():
            x = {k: v.to(self.device) for k, v in read_object(self.files[i],
                                                              self.category).items()}
            size = 1 + SIZE * (2 * float(torch.rand(1, generator=generator, device=self.device))
                               - 1)
            one = {'origin': x['origin'] * (size / self.category.scale), 'axis': x['axis'],
                   'exists': x['exists']}
            if shapes:
                one |= self._draw_shape(x, size, generator)
            if views:
                one |= self._draw_views(x, size, views, generator)
            drawn.append(one)
        return {k: torch.stack([one[k] for one in drawn]) for k in drawn[0]}

    def _draw_shape(self, x: dict[str, Tensor], size: float, generator: torch.Generator,
                    ) -> dict[str, Tensor]:
        """Surface points, queries and boxes of one object, scaled by ``size``."""
        metre = size / self.category.scale
        query = self._indices(x['query'].shape[1], QUERIES, generator)
        surface = self._indices(x['surface'].shape[1], SURFACE, generator)
        return {'surface': x['surface'][:, surface] * metre, 'query': x['query'][:, query] * metre,
                'distance': x['distance'][:, query] * metre,
                'centre': x['bounds'].mean(1) * metre,
                'half': (x['bounds'][:, 1] - x['bounds'][:, 0]) * metre / 2}

    def _draw_views(self, x: dict[str, Tensor], size: float, views: int,
                    generator: torch.Generator) -> dict[str, Tensor]:
        """Clouds, camera poses and joint states of one object, scaled by ``size``."""
        metre, joints = size / self.category.scale, self.category.joints
        view = self._indices(len(x['points']), views, generator)
        T, cloud = x['T_camera_base'][view], x['points'][view]
        label = nearest_part(x, cloud, T, x['q'][view], joints)
        T[:, :3, 3] *= metre
        scale = torch.tensor([1.0 if j.joint_type == 'revolute' else size for j in joints],
                             device=self.device)
        unit = joint_units(joints, self.category.scale).to(self.device)
        return {'points': cloud * metre, 'label': label, 'T': T, 'q': x['q'][view] * scale / unit,
                'valid': torch.ones(views, dtype=torch.bool, device=self.device)}

    def _indices(self, high: int, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(high, (count,), generator=generator, device=self.device)
