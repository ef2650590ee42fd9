"""Image files: decoded into the pixels of their own type."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kinediff3d_core.io.files import Array, checked_file, read_npy, read_npz_one, shortened

MAX_PIXELS = 16 * 10**6
"""Largest image that is decoded. Chosen: bounds memory; a small file can hold a huge image."""
MAX_NUMBERS = 4 * MAX_PIXELS
"""Most numbers of an array. Chosen, as above."""
LOSSY = ('JPEG', 'MPO', 'WEBP', 'JPEG2000', 'AVIF')
"""Pillow's names of formats that do not keep the values of pixels."""


SCALED_BY = ('ppm', 'ppm_plain')
"""Pillow's decoders that scale, which end their arguments with the largest value."""


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: (H, W), or (H, W, C) with colours or with grey and alpha; indices of a palette.
        palette: (P, 3) uint8 colours of the indices, or None.
        transparent: index of the palette that is transparent, or None.
        lossy: whether the format changes values.
        channels: whether a third axis holds colours for certain.
    """

    pixels: Array
    palette: Array | None = None
    transparent: int | None = None
    lossy: bool = False
    channels: bool = False


def read_pixels(path: Path | str, what: str, expected: str, names: tuple[str, ...] = (),
                ) -> Array:
    """Pixels (H, W) or (H, W, C) of a PNG, TIFF, ``.npy`` or ``.npz`` file, in its own type.

    Args:
        what: what the image should be, for messages. expected: kinds of files that hold it.
        names: of the array in a ``.npz`` file of several.

    Raises:
        ValueError: missing, unreadable or too large.
    """
    file = checked_file(path, what)
    return read_array(file, what, names) if is_array(file) else \
        decode_image(file, what, expected)


def is_array(file: Path) -> bool:
    """Whether a file is one of NumPy's by its name."""
    return file.suffix.lower() in ('.npy', '.npz')


def read_array(file: Path, what: str, names: tuple[str, ...]) -> Array:
    """The array of a ``.npy`` file, or one of a ``.npz`` file by one of the names."""
    array = read_npz_one(file, what, names or (what,)) if file.suffix.lower() == '.npz' else \
        read_npy(file, what)
    if array.size > MAX_NUMBERS:
        raise ValueError(f'{file}: {array.size} numbers are more than {MAX_NUMBERS}')
    return array


def decode_image(source: Path | BinaryIO, what: str, expected: str,
                 formats: tuple[str, ...] | None = None) -> Array:
    """Pixels (H, W) or (H, W, C) of a PNG or TIFF, in its own type; grey of a palette.

    Raises:
        ValueError: as :func:`decode_picture`.
    """
    picture = decode_picture(source, what, expected, formats)
    if picture.palette is None:
        return picture.pixels
    colours = picture.palette[np.minimum(picture.pixels, len(picture.palette) - 1)]
    return np.asarray(colours.max(-1))


def decode_picture(source: Path | BinaryIO, what: str, expected: str,
                   formats: tuple[str, ...] | None = None) -> Picture:
    """The picture in an image file.

    Args:
        what: what the image should be, for messages. expected: kinds of files that hold it.
        formats: Pillow's names of the formats that are tried; None tries all.

    Raises:
        ValueError: unreadable, or more than :data:`MAX_PIXELS`.
    """
    from PIL import Image

    name = source if isinstance(source, Path) else what
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of Pillow, on broken metadata
            with Image.open(source, formats=formats) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f'{name}: {image.width} x {image.height} pixels are more '
                                     f'than {MAX_PIXELS}')
                return _picture(image)
    except MemoryError as error:
        raise ValueError(f'{name}: not readable as a {what} (too large)') from error
    except Exception as error:  # Pillow passes on whatever its decoders raise
        if str(error).startswith(f'{name}: '):
            raise
        raise ValueError(f'{name}: not readable as a {what} ({shortened(type(error).__name__)}); '
                         f'expected a {expected}') from error


def _as_written(image: Any) -> Array:
    """The values of a PGM or PPM. Pillow scales those below the type's largest value to it."""
    codec, *_, arguments = image.tile[0]
    pixels = np.asarray(image)
    if codec not in SCALED_BY or image.mode == '1':
        return pixels
    largest = 255 if pixels.dtype == np.uint8 else 65535
    return np.asarray(np.rint(pixels * (arguments[1] / largest)).astype(pixels.dtype))


def _picture(image: object) -> Picture:
    from PIL import Image

    assert isinstance(image, Image.Image)
    lossy = image.format in LOSSY
    if image.format == 'PPM':
        return Picture(_as_written(image), channels=True)
    if image.mode == 'PA':
        image = image.convert('RGBA')
    if image.mode != 'P':
        pixels = np.asarray(image.convert('RGB') if image.mode in ('CMYK', 'YCbCr', 'LAB', 'HSV')
                            else image)
        return Picture(pixels, lossy=lossy, channels=True)
    pixels = np.asarray(image)
    colours = np.frombuffer(bytes(image.getpalette('RGB') or ()), np.uint8).reshape(-1, 3)
    if not len(colours):
        return Picture(pixels, lossy=lossy)
    transparent = image.info.get('transparency')
    if isinstance(transparent, bytes):
        transparent = transparent.find(b'\0') if b'\0' in transparent else None
    return Picture(pixels, colours, transparent, lossy)
