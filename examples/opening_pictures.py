"""Pictures of a trial: an animation, and a strip of a failure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from world import World

EVERY = 5
"""Of what a strip is chosen from, every n-th picture is enough. Chosen: one a second."""
STRIP = 4
"""Pictures in a strip. Chosen."""
WHITE, BORDER = 255, 20
"""Value of the background; pixels around what is drawn. Chosen."""
FRAME_TIME = 100
"""Time for which an animation shows a picture, ms: twice as fast as the simulation. Chosen."""
COLOURS = 64
"""Colours of an animation, which keep its file small. Chosen."""


class Film:
    """Takes pictures of a world.

    Attributes:
        pictures: (H, W, 3) uint8, oldest first.
    """

    def __init__(self, every: int = EVERY) -> None:
        self.pictures: list[np.ndarray] = []
        self._every, self._calls = every, 0

    def watch(self, world: World) -> None:
        """Take a picture at every n-th call."""
        if self._calls % self._every == 0:
            self.pictures.append(world.picture())
        self._calls += 1


def cropped(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The part of all pictures in which any of them is not white, with a border."""
    drawn = (np.min(pictures, axis=0) < WHITE).any(axis=-1)
    if not drawn.any():
        return list(pictures)
    (top, bottom), (left, right) = (
        (max(int(x.min()) - BORDER, 0), int(x.max()) + BORDER + 1) for x in np.nonzero(drawn))
    return [p[top:bottom, left:right] for p in pictures]


def write_strip(pictures: Sequence[np.ndarray], text: str, path: Path) -> None:
    """Write some of the pictures side by side, the last one included, with a line of text."""
    index = np.linspace(0, len(pictures) - 1, min(STRIP, len(pictures))).round().astype(int)
    image = Image.fromarray(np.concatenate(cropped([pictures[i] for i in index]), axis=1))
    ImageDraw.Draw(image).text((5, 5), text, fill=(200, 0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_animation(pictures: Sequence[np.ndarray], path: Path) -> None:
    """Write the pictures as a GIF that loops for ever."""
    first, *others = (Image.fromarray(p).quantize(COLOURS) for p in cropped(pictures))
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=others, duration=FRAME_TIME, loop=0)
