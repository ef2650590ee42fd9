"""Procedural families: what objects of a category look like, drawn from a seed.

A family only says which slabs a part is made of and how their sizes vary; distances, surfaces and
depth images follow from :mod:`kinediff3d_core.simulation.solids`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from kinediff3d_core.simulation.families.box import box
from kinediff3d_core.simulation.families.cutter import cutter
from kinediff3d_core.simulation.families.dishwasher import dishwasher
from kinediff3d_core.simulation.families.drawer import drawer
from kinediff3d_core.simulation.families.eyeglasses import eyeglasses
from kinediff3d_core.simulation.families.laptop import laptop
from kinediff3d_core.simulation.families.scissors import scissors
from kinediff3d_core.simulation.families.stapler import stapler
from kinediff3d_core.simulation.solids import Instances

TEST_SEED_OFFSET = 1_000_003

FAMILIES: dict[str, Callable[[int, torch.Generator, torch.device | str], Instances]] = {
    'box': box,
    'cutter': cutter,
    'dishwasher': dishwasher,
    'drawer': drawer,
    'eyeglasses': eyeglasses,
    'laptop': laptop,
    'scissors': scissors,
    'stapler': stapler,
}


def sample_instances(category: str, n: int, generator: torch.Generator,
                     device: torch.device | str = 'cpu') -> Instances:
    """n objects of a category, metres.

    Training uses generators seeded with seeds below ``TEST_SEED_OFFSET``, tests above it
    (:func:`held_out_generator`), so that no test object was ever trained on.

    Raises:
        ValueError: no family of that name.
    """
    if category not in FAMILIES:
        raise ValueError(f'no procedural family for category {category!r}; known: '
                         f'{", ".join(sorted(FAMILIES))}')
    return FAMILIES[category](n, generator, device)


def held_out_generator(seed: int, device: torch.device | str = 'cpu') -> torch.Generator:
    """Generator of held-out objects and views."""
    return torch.Generator(device).manual_seed(TEST_SEED_OFFSET + seed)
