"""Weights that a stage starts from: those of its category, or what fits of another one's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kinediff3d_core.networks.checkpoints import (
    SHIPPED,
    folder_of,
    load_network,
    read_notes,
    read_tensors,
)
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.objects.suggestion import did_you_mean, unknown

MEASURED = ('mean', 'std', 'layout_mean', 'layout_std', 'error')
"""Tensors that a stage measures on objects of its own category."""
OF_SHIPPED = 'shipped'
"""Names the folder of the weights that come with the package."""


def start_folder(text: str) -> Path:
    """The folder of weights that ``DIR``, ``shipped`` or ``shipped/<category>`` names.

    Raises:
        ValueError: there is none; the message says what may have been meant.
    """
    root, _, category = text.partition('/')
    if root != OF_SHIPPED:
        if not Path(text).is_dir():
            raise ValueError(f'weights {text} is not a folder{did_you_mean(root, [OF_SHIPPED])}')
        return Path(text)
    folder = SHIPPED / category
    if not folder.is_dir():
        names = sorted(p.name for p in SHIPPED.iterdir() if p.is_dir())
        raise ValueError(unknown('category of shipped weights', category, names))
    return folder


def warm_start(network: nn.Module, stage: str, category: str, folder: Path, quiet: bool = False,
               ) -> dict[str, Any]:
    """Give a network the weights in a folder; returns the notes of their training.

    Of another category's weights, the tensors of the same name and shape are copied, without what
    a stage measures. The notes then also name that category.

    Args:
        stage: of the network. category: that it is trained for.
        folder: as :func:`load_network` has it.
        quiet: do not print how much of another category fits.

    Raises:
        ValueError: no such weights, of another stage or other sizes, or none of another
            category's tensors fits.
    """
    path = folder_of(category, folder) / f'{stage}.safetensors'
    device = next(network.parameters()).device
    if not path.is_file():
        load_network(stage, category, folder)  # It raises: the one message of what is missing.
    header, tensors = read_tensors(path)
    other = header.get('category', category)
    if other == category or header.get('stage') != stage:
        start_from(network, load_network(stage, category, folder, device), folder)
        return read_notes(path)
    own = network.state_dict()
    fitting = {name: value.to(device) for name, value in tensors.items()
               if name in own and name not in MEASURED and own[name].shape == value.shape}
    if not fitting:
        raise ValueError(f'{path}: no tensor of a {other} has the size of a {category}\'s')
    network.load_state_dict(fitting, strict=False)
    if not quiet:
        print(f'{category} {stage}: {len(fitting)} of {len(own)} tensors start from those of '
              f'{other}', file=sys.stderr)
    return read_notes(path) | {'category': other}


def start_from(network: nn.Module, given: nn.Module, folder: Path) -> None:
    """Copy the weights of a trained network.

    Codes of another shape stage have another scale. A latent stage therefore measures the scale
    of its codes again.

    Args:
        folder: of the given weights, for the error.

    Raises:
        ValueError: the networks have different sizes.
    """
    try:
        network.load_state_dict(given.state_dict())
    except RuntimeError as error:
        raise ValueError(f'the networks in {folder} have other sizes: '
                         f'{str(error).splitlines()[1].strip()}') from error
    if isinstance(network, LatentDenoiser):
        with torch.no_grad():
            network.mean.zero_()
