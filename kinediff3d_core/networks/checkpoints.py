"""Networks on disk: safetensors with the configuration as JSON in the header."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kinediff3d_core.io.files import write_bytes
from kinediff3d_core.networks.kavae import KAVAE, KAVAEConfig
from kinediff3d_core.networks.latent import LatentConfig, LatentDenoiser
from kinediff3d_core.networks.part_coordinates import PartConfig, PartCoordinates
from kinediff3d_core.networks.score import ScoreConfig, ScoreModel
from kinediff3d_core.objects.category import CATEGORIES, PACKAGED, get_category

NETWORKS: dict[str, tuple[type[nn.Module], type]] = {
    'shape': (KAVAE, KAVAEConfig),
    'pose': (ScoreModel, ScoreConfig),
    'latent': (LatentDenoiser, LatentConfig),
    'parts': (PartCoordinates, PartConfig),
}
"""Stages of training: class and configuration of each network."""
REQUIRED = ('shape', 'pose', 'latent')
"""Stages whose networks the pipeline needs; the others belong to baselines."""
COVARIANCE_SCALE = 'covariance_scale.json'
"""File beside the networks; see :class:`CovarianceScale`."""
SHIPPED = Path(__file__).parents[1] / 'weights'
"""Folder of the weights that come with the package."""
LARGE = 16384
"""Entries from which on a matrix is stored in 8 bits, with one scale a row."""
SCALE = ':scale'
"""Ends the name of the scales (rows, 1) of a matrix in 8 bits."""


@dataclass(frozen=True)
class CovarianceScale:
    """Factors of an estimate's standard deviations, by which they agree with measured errors.

    The covariance of the fit leaves out errors that the networks make in all hypotheses alike,
    such as that of a size that no pixel shows. The factors are measured on calibration views by
    :mod:`kinediff3d_core.evaluation.calibration`.
    """

    translation: float = 1.0
    """Factor of the base's position."""
    rotation: float = 1.0
    """Factor of the base's rotation."""
    joint: float = 1.0
    """Factor of the joints' positions."""

    def factors(self, joints: int) -> Tensor:
        """Factors (6 + J,) of x, y, z, the rotation vector, and the joints."""
        return torch.tensor([self.translation] * 3 + [self.rotation] * 3 + [self.joint] * joints)


def trained_categories(root: Path | None = None) -> list[str]:
    """Categories with the pipeline's networks under ``root``; None means the shipped weights."""
    return [name for name in CATEGORIES
            if all(((root or SHIPPED) / name / f'{stage}.safetensors').is_file()
                   for stage in REQUIRED)]


def save_network(network: nn.Module, stage: str, category: str, path: Path,
                 notes: dict[str, object] | None = None) -> None:
    """Write a network, atomically: large matrices in 8 bits, all else in half precision."""
    tensors: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        value = value.detach().cpu()
        if value.ndim == 2 and value.numel() >= LARGE:
            scale = (value.abs().amax(1, keepdim=True) / 127).clamp_min(1e-7).half()
            tensors[name + SCALE] = scale
            value = (value / scale.float()).round().clamp(-127, 127).to(torch.int8)
        else:
            value = value.half()
        tensors[name] = value.contiguous()
    header = {'stage': stage, 'category': category, 'notes': json.dumps(notes or {}),
              'config': json.dumps(asdict(network.config))}  # type: ignore[call-overload]
    write_bytes(path, save(tensors, header))


def train_command(stage: str, category: str) -> str:
    """The command, in backquotes, that trains a network of a category."""
    of = f'--category {category}' if category in PACKAGED else '--data DIR'
    return f'`kinediff3d train {stage} {of}`'


def folder_of(category: str, folder: Path | None = None) -> Path:
    """Folder of a category's networks: the folder itself, or the one of its name in there.

    Raises:
        ValueError: no such folder.
    """
    folder = folder or SHIPPED
    if not folder.is_dir():
        raise ValueError(f'weights {folder} is not a folder')
    own = folder / category
    return own if own.is_dir() or folder == SHIPPED else folder


def weights_digest(category: str, folder: Path | None = None) -> str:
    """SHA-256 of a category's networks and covariance scale: two equal ones estimate the same.

    Raises:
        ValueError: no such folder.
    """
    digest = hashlib.sha256()
    own = folder_of(category, folder)
    for name in (*(f'{stage}.safetensors' for stage in NETWORKS), COVARIANCE_SCALE):
        content = (own / name).read_bytes() if (own / name).is_file() else b''
        digest.update(f'{name} {len(content)}\n'.encode() + content)
    return digest.hexdigest()


def read_notes(path: Path) -> dict[str, Any]:
    """Notes of the training in the header of a file of weights."""
    with safe_open(str(path), framework='pt') as file:
        return dict(json.loads((file.metadata() or {}).get('notes', '{}')))


def load_covariance_scale(category: str, folder: Path | None = None) -> CovarianceScale:
    """Covariance scale of a category; ones where no file has it.

    Raises:
        ValueError: the file is not a JSON object of positive numbers; the message names it.
    """
    path = folder_of(category, folder) / COVARIANCE_SCALE
    if not path.is_file():
        return CovarianceScale()
    try:
        found = CovarianceScale(**{k: float(v) for k, v in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} cannot be used ({error}); it has to be like '
                         f'{json.dumps(asdict(CovarianceScale()))}') from error
    if not all(math.isfinite(x) and x > 0 for x in asdict(found).values()):
        raise ValueError(f'{path} has to hold positive numbers, it has {asdict(found)}')
    return found


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header of a file of weights, and its tensors, float32.

    Raises:
        ValueError: not a whole safetensors file; the message names it.
    """
    try:
        with safe_open(str(path), framework='pt') as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} is not a whole safetensors file ({error}); copy it again'
                         ) from error
    for name in [name for name in tensors if name.endswith(SCALE)]:
        of = name.removesuffix(SCALE)
        if of not in tensors:
            raise ValueError(f'{path} does not fit this version: it lacks {of!r}')
        tensors[of] *= tensors.pop(name)
    return header, tensors


def load_network(stage: str, category: str, folder: Path | None = None,
                 device: torch.device | str = 'cpu') -> nn.Module:
    """A trained network of a category, float32, in evaluation mode.

    Args:
        stage: one of :data:`NETWORKS`.
        folder: holds ``<stage>.safetensors``, or a folder of the category's name that does; None
            takes the shipped weights.

    Raises:
        ValueError: no such folder or file, not safetensors, another category or stage, or tensors
            that do not fit; the message names the file and what was expected.
    """
    network_class, config_class = NETWORKS[stage]
    spec = get_category(category)
    path = folder_of(category, folder) / f'{stage}.safetensors'
    if not path.is_file():
        raise ValueError(f'no weights at {path}; train them with {train_command(stage, category)}')
    header, tensors = read_tensors(path)
    if (header.get('stage'), header.get('category')) != (stage, category):
        raise ValueError(f'{path} holds {header.get("stage")!r} weights of category '
                         f'{header.get("category")!r}, not {stage!r} of {category!r}')
    try:
        values = json.loads(header['config'])
        known = {f.name for f in fields(config_class)}
        network = network_class(spec, config_class(**{k: v for k, v in values.items()
                                                      if k in known}))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f'{path} does not fit this version: {str(error).splitlines()[0]}'
                         ) from error
    return network.to(device).eval().requires_grad_(False)
