"""Procedural families: what objects of a category look like, drawn from a seed.

A family defines only the slabs of each part and how their sizes vary. Distances and surfaces
follow from :mod:`kinediff3d_core.simulation.solids`, depth images from
:mod:`kinediff3d_core.simulation.render`.

The numbers in the families are design ranges, chosen from the sizes of real objects; each function
says what it draws and in which unit. Shares are of the size that is named with them. A function
``_draw_*`` only draws numbers; ``_add_*`` and ``_cut_*`` may draw, and add slabs to the builder or
cut them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.suggestion import did_you_mean
from kinediff3d_core.simulation.families.box import box
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.families.cabinet import cabinet
from kinediff3d_core.simulation.families.cutter import cutter
from kinediff3d_core.simulation.families.dishwasher import dishwasher
from kinediff3d_core.simulation.families.drawer import drawer
from kinediff3d_core.simulation.families.eyeglasses import eyeglasses
from kinediff3d_core.simulation.families.laptop import laptop
from kinediff3d_core.simulation.families.scissors import scissors
from kinediff3d_core.simulation.families.stapler import stapler
from kinediff3d_core.simulation.solids import Instances

TEST_SEED_OFFSET = 1_000_003
"""Seeds from this number on are for tests; training uses the ones below. Chosen, larger than any
number of training seeds."""

FAMILIES: dict[str, Callable[[Builder], Instances]] = {
    'box': box,
    'cabinet': cabinet,
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

    Training seeds its generators below ``TEST_SEED_OFFSET``, tests above it
    (:func:`held_out_generator`): no network has been trained on a test object.

    Args:
        generator: on ``device``.

    Raises:
        ValueError: no family of that name.
    """
    require_family(category)
    return FAMILIES[category](Builder(get_category(category), n, generator, device))


def require_family(category: str) -> None:
    """Check that there is a procedural family of a category.

    Raises:
        ValueError: there is none; the message names those that there are.
    """
    if category not in FAMILIES:
        raise ValueError(f'no procedural family for category {category!r}'
                         f'{did_you_mean(category, FAMILIES)}; known: '
                         f'{", ".join(sorted(FAMILIES))}')


def held_out_generator(seed: int, device: torch.device | str = 'cpu') -> torch.Generator:
    """Generator of objects and views that training never sees."""
    return torch.Generator(device).manual_seed(TEST_SEED_OFFSET + seed)
