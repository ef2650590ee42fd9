"""Pictures of what a browser shows, written as a strip (PNG) or an animation (GIF)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from kinediff3d_ros.tools.browser_scene import BrowserScene

LABEL_LINES = 18
"""Height of a picture in lines of its label. Chosen."""


@dataclass(frozen=True)
class CaptureOptions:
    """What is written, and how the pictures are made."""

    path: Path
    """A name that ends in ``.gif`` gives an animation that loops for ever, any other a strip."""
    frames: int = 5
    """Number of pictures."""
    every: float = 2.0
    """Seconds between two pictures, and the time for which an animation shows each. Drawing takes
    longer on a slow machine; the animation then runs faster than the recording did."""
    strip_size: tuple[int, int] = (320, 260)
    """Width and height of one picture of a strip, px. Chosen."""
    animation_size: tuple[int, int] = (480, 360)
    """Width and height of an animation, px. Chosen for a README page."""
    animation_colours: int = 128
    """Size of an animation's palette. Chosen: 24 pictures of a laptop then take under 1 MB."""
    supersampling: int = 3
    """The browser draws this many times as many pixels along each side. Chosen."""
    redraw_time: float = 2.0
    """Seconds within which a browser without a GPU draws the latest changes. Chosen."""

    @property
    def animated(self) -> bool:
        return self.path.suffix.lower() == '.gif'

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of one picture, px."""
        return self.animation_size if self.animated else self.strip_size


class ScreenCapture:
    """Takes pictures of what the first browser shows and writes them to one file.

    The scene must not change between :meth:`overdue` and the end of :meth:`take`: the browser
    draws the latest changes.

    Raises:
        ValueError: the folder of the file does not exist.
    """

    def __init__(self, scene: BrowserScene, options: CaptureOptions) -> None:
        if not options.path.absolute().parent.is_dir():
            raise ValueError(f'{options.path.parent} is not a folder')
        self._scene, self._options = scene, options
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
            if self._scene.picture(*self._options.size) is not None:
                self._begin = time.monotonic()
                self._next = self._begin + self._options.every
            return None
        late = time.monotonic() - self._next
        return late if late >= 0 and not self.done else None

    def take(self) -> None:
        """Take a picture; the last one writes the file."""
        assert self._begin is not None
        size, at = self._options.size, time.monotonic() - self._begin
        self._scene.picture(*size)  # the first picture after a change may still show the old state
        time.sleep(self._options.redraw_time)
        pixels = self._scene.picture(*(self._options.supersampling * side for side in size))
        if pixels is None:
            return
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
        joints = (f'{name} {position}' for name, position in self._scene.joints)
        _write_label(picture, ', '.join([f'{at:.0f} s', *joints]))
        self._pictures.append(picture)
        # Messages that came while the browser drew are processed before the next picture.
        self._next = time.monotonic() + self._options.every
        if self.done:
            self._write()

    def _write(self) -> None:
        if self._options.animated:
            write_animation(self._pictures, self._options)
        else:
            write_strip(self._pictures, self._options.path)


def write_strip(pictures: list[Image.Image], path: Path) -> None:
    """Write pictures of one size side by side."""
    width, height = pictures[0].size
    strip = Image.new('RGB', (width * len(pictures), height))
    for i, picture in enumerate(pictures):
        strip.paste(picture, (width * i, 0))
    strip.save(path)


def write_animation(pictures: list[Image.Image], options: CaptureOptions) -> None:
    """Write a GIF that loops for ever; all pictures share one palette, so colours do not flicker.
    """
    stacked = Image.new('RGB', (pictures[0].width, pictures[0].height * len(pictures)))
    for i, picture in enumerate(pictures):
        stacked.paste(picture, (0, pictures[0].height * i))
    palette = stacked.quantize(options.animation_colours)
    first, *others = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    first.save(options.path, save_all=True, append_images=others,
               duration=round(1000 * options.every), loop=0)


def _write_label(picture: Image.Image, text: str) -> None:
    """Write text on white into the upper left corner."""
    draw, font_size = ImageDraw.Draw(picture), picture.height // LABEL_LINES
    corner = (font_size // 2, font_size // 2)
    draw.rectangle(draw.textbbox(corner, text, font_size=font_size), fill=(255, 255, 255))
    draw.text(corner, text, fill=(40, 40, 40), font_size=font_size)
