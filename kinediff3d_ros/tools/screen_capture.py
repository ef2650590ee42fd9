"""Pictures of what a browser shows, written as a strip (PNG) or an animation (GIF)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LABEL_LINES = 18
"""Height of a picture in lines of its label. Chosen."""

GIF_COLOURS = 256
"""Size of an animation's palette, the most that GIF allows."""


@dataclass(frozen=True)
class PictureFormat:
    """Size of one picture.

    Attributes:
        width, height: px.
        supersampling: the browser draws this many times as many pixels along each side.
    """

    width: int
    height: int
    supersampling: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.width, self.height


STRIP_FORMAT = PictureFormat(320, 260, 3)
"""Chosen: five pictures fit the width of a page."""

ANIMATION_FORMAT = PictureFormat(480, 360, 2)
"""Chosen for a README page: 40 pictures of a laptop take less than 1 MB."""


@dataclass(frozen=True)
class CaptureOptions:
    """What is written, and when the pictures are taken."""

    path: Path
    """A name that ends in ``.gif`` gives an animation that loops for ever, any other a strip."""
    frames: int = 5
    """Number of pictures."""
    every: float = 2.0
    """Seconds from one picture to the next. A browser without a GPU may need longer."""
    longest_frame: float = 0.15
    """An animation shows each picture for ``every``, but no longer than this, s: pictures that
    are further apart make a time lapse. Chosen."""
    redraw_time: float = 2.0
    """Seconds within which a browser without a GPU draws the latest changes. Chosen."""
    message_time: float = 0.5
    """Seconds after a picture for the messages that came while it was drawn. Chosen."""

    @property
    def animated(self) -> bool:
        """Whether the file is an animation."""
        return self.path.suffix.lower() == '.gif'

    @property
    def format(self) -> PictureFormat:
        """Size of each picture."""
        return ANIMATION_FORMAT if self.animated else STRIP_FORMAT


class ScreenCapture:
    """Takes pictures of what the first browser shows and writes them to one file.

    The scene must not change between :meth:`overdue` and the end of :meth:`take`: the browser
    draws the latest changes.

    Args:
        picture: returns what a browser shows in a width and a height, (H, W, 3) uint8, or None.

    Raises:
        ValueError: the folder of the file does not exist.
    """

    def __init__(self, picture: Callable[[int, int], np.ndarray | None],
                 options: CaptureOptions) -> None:
        if not options.path.absolute().parent.is_dir():
            raise ValueError(f'{options.path.parent} is not a folder')
        self._picture, self._options = picture, options
        self._pictures: list[Image.Image] = []
        self._begin: float | None = None
        self._next = 0.0

    @property
    def done(self) -> bool:
        """Whether the file is written."""
        return len(self._pictures) == self._options.frames

    def overdue(self) -> float | None:
        """Seconds since the next picture became due; None before that time."""
        if self._begin is None:
            # The browser gets time to move its camera to the object.
            if self._picture(*self._options.format.size) is not None:
                self._begin = time.monotonic()
                self._next = self._begin + self._options.every
            return None
        late = time.monotonic() - self._next
        return late if late >= 0 and not self.done else None

    def take(self, caption: str) -> None:
        """Take a picture with a caption; the last one writes the file."""
        assert self._begin is not None
        options, taken = self._options, time.monotonic()
        size, factor = options.format.size, options.format.supersampling
        self._picture(*size)  # the first picture after a change may show the old state
        time.sleep(options.redraw_time)
        pixels = self._picture(*(factor * side for side in size))
        if pixels is None:
            return
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
        _write_label(picture, ', '.join([f'{taken - self._begin:.0f} s', caption]))
        self._pictures.append(picture)
        self._next = max(self._next + options.every, time.monotonic() + options.message_time)
        if self.done:
            self._write()

    def _write(self) -> None:
        if self._options.animated:
            seconds = min(self._options.every, self._options.longest_frame)
            write_animation(self._pictures, self._options.path, seconds)
        else:
            write_strip(self._pictures, self._options.path)


def write_strip(pictures: list[Image.Image], path: Path) -> None:
    """Write pictures of one size side by side."""
    width, height = pictures[0].size
    strip = Image.new('RGB', (width * len(pictures), height))
    for i, picture in enumerate(pictures):
        strip.paste(picture, (width * i, 0))
    strip.save(path)


def write_animation(pictures: list[Image.Image], path: Path, seconds: float) -> None:
    """Write a GIF that loops for ever.

    All pictures share one palette, so that colours do not flicker.

    Args:
        seconds: for which each picture is shown.
    """
    width, height = pictures[0].size
    column = Image.new('RGB', (width, height * len(pictures)))
    for i, picture in enumerate(pictures):
        column.paste(picture, (0, height * i))
    palette = column.quantize(GIF_COLOURS, method=Image.Quantize.FASTOCTREE)
    first, *others = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    first.save(path, save_all=True, append_images=others, duration=round(1000 * seconds), loop=0)


def _write_label(picture: Image.Image, text: str) -> None:
    """Write text on white into the upper left corner."""
    draw, font_size = ImageDraw.Draw(picture), picture.height // LABEL_LINES
    corner = (font_size // 2, font_size // 2)
    draw.rectangle(draw.textbbox(corner, text, font_size=font_size), fill=(255, 255, 255))
    draw.text(corner, text, fill=(40, 40, 40), font_size=font_size)
