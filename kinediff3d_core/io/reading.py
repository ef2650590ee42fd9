"""What every reader checks before it looks into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MAX_BYTES = 512 * 2**20
"""Largest file that is opened."""

MAX_PIXELS = 64 * 10**6

DEPTH_KINDS = '16-bit PNG or TIFF in millimetres, or 32-bit TIFF or .npy in metres'


def checked_file(path: Path | str, what: str) -> Path:
    """An existing, ordinary, not empty, not oversized file."""
    file = Path(path)
    if not file.exists():
        raise ValueError(f'{what} {file} does not exist')
    if not file.is_file():
        raise ValueError(f'{what} {file} is not a file')
    try:
        size = file.stat().st_size
        with file.open('rb'):
            pass
    except OSError as error:
        raise ValueError(f'{what} {file} cannot be read: {error.strerror}') from error
    if size == 0:
        raise ValueError(f'{what} {file} is empty')
    if size > MAX_BYTES:
        raise ValueError(f'{what} {file} has {size / 2**20:.0f} MiB, more than '
                         f'{MAX_BYTES / 2**20:.0f}')
    return file


def load_image(file: Path, what: str) -> Array:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f'{file}: {image.width} x {image.height} pixels are more than '
                                 f'{MAX_PIXELS}')
            return np.asarray(image.convert('L') if image.mode == 'P' else image)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        wanted = DEPTH_KINDS if what == 'depth image' else 'PNG, TIFF or .npy'
        raise ValueError(f'{file}: not readable as a {what} ({type(error).__name__}); expected a '
                         f'{wanted}') from error


def load_npy(file: Path, what: str) -> Array:
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f'{file}: not readable as a {what} in NumPy\'s .npy format '
                         f'({error})') from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{file}: an archive, not an array; name it .npz')
    return array
