"""Networks on disk: safetensors with the configuration as JSON in the header."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kinediff3d_core.categories import CATEGORIES, get_category
from kinediff3d_core.networks.kavae import KAVAE, KAVAEConfig
from kinediff3d_core.networks.latent import LatentConfig, LatentDenoiser
from kinediff3d_core.networks.score import ScoreConfig, ScoreModel

NETWORKS: dict[str, tuple[type[nn.Module], type]] = {
    'shape': (KAVAE, KAVAEConfig),
    'pose': (ScoreModel, ScoreConfig),
    'latent': (LatentDenoiser, LatentConfig),
}
SHIPPED = Path(__file__).parent / 'weights'
LARGE = 16384
"""Entries from which on a matrix is stored in 8 bits, with one scale a row."""
SCALE = ':scale'
"""Ends the name of the scales (rows, 1) of a matrix in 8 bits."""


def trained_categories(root: Path | None = None) -> list[str]:
    """Categories with all three networks under ``root``; None looks at the shipped weights."""
    return [name for name in CATEGORIES
            if all(((root or SHIPPED) / name / f'{stage}.safetensors').is_file()
                   for stage in NETWORKS)]


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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    save_file(tensors, str(partial), metadata=header)
    partial.chmod(0o644)
    os.replace(partial, path)


def load_network(stage: str, category: str, folder: Path | None = None,
                 device: torch.device | str = 'cpu') -> nn.Module:
    """A trained network of a category, float32, in evaluation mode.

    Args:
        stage: ``shape``, ``pose`` or ``latent``.
        folder: holds ``<stage>.safetensors``, or a folder of the category's name that does; None
            takes the shipped weights.

    Raises:
        ValueError: no such folder or file, not safetensors, another category or stage, or tensors
            that do not fit; the message names the file and what was expected.
    """
    network_class, config_class = NETWORKS[stage]
    spec = get_category(category)
    folder = folder or SHIPPED
    if not folder.is_dir():
        raise ValueError(f'weights {folder} is not a folder')
    own = folder / category
    path = (own if own.is_dir() or folder == SHIPPED else folder) / f'{stage}.safetensors'
    if not path.is_file():
        raise ValueError(f'no weights at {path}; train them with '
                         f'`kinediff3d train {stage} --category {category}`')
    try:
        with safe_open(str(path), framework='pt') as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} is not a whole safetensors file ({error}); copy it again'
                         ) from error
    if (header.get('stage'), header.get('category')) != (stage, category):
        raise ValueError(f'{path} holds {header.get("stage")!r} weights of category '
                         f'{header.get("category")!r}, not {stage!r} of {category!r}')
    try:
        values = json.loads(header['config'])
        known = {f.name for f in fields(config_class)}
        network = network_class(spec, config_class(**{k: v for k, v in values.items()
                                                      if k in known}))
        for name in [name for name in tensors if name.endswith(SCALE)]:
            tensors[name.removesuffix(SCALE)] *= tensors.pop(name)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f'{path} does not fit this version: {str(error).splitlines()[0]}'
                         ) from error
    return network.to(device).eval().requires_grad_(False)
