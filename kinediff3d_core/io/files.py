"""Files: checked before they are read, complete or absent after they are written."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

Array = np.ndarray[Any, Any]

MAX_BYTES = 512 * 2**20
"""Largest file that is opened. Chosen: bounds memory."""

MAX_PIXELS = 64 * 10**6
"""Largest image that is decoded. Chosen: bounds memory; a small file can hold a huge image."""


def checked_file(path: Path | str, what: str) -> Path:
    """The path of an ordinary file that exists, can be read and is neither empty nor too large.

    Args:
        what: what the file should be, for messages.

    Raises:
        ValueError: any other.
    """
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


def read_pixels(path: Path | str, what: str, expected: str) -> Array:
    """Pixels (H, W) or (H, W, C) of a PNG, TIFF or ``.npy`` file, in the file's own type.

    Args:
        what: what the image should be, for messages. expected: kinds of files that hold it.

    Raises:
        ValueError: missing, unreadable or too large.
    """
    file = checked_file(path, what)
    if file.suffix.lower() == '.npy':
        return read_npy(file, what)
    return decode_image(file, what, expected)


def decode_image(source: Path | BinaryIO, what: str, expected: str,
                 formats: tuple[str, ...] | None = None) -> Array:
    """Pixels (H, W) or (H, W, C) of a PNG or TIFF, in its own type.

    Args:
        what: what the image should be, for messages. expected: kinds of files that hold it.
        formats: Pillow's names of the formats that are tried; None tries all.

    Raises:
        ValueError: unreadable, or more than :data:`MAX_PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError

    name = source if isinstance(source, Path) else what
    try:
        with Image.open(source, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f'{name}: {image.width} x {image.height} pixels are more than '
                                 f'{MAX_PIXELS}')
            return np.asarray(image.convert('L') if image.mode == 'P' else image)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(f'{name}: not readable as a {what} ({type(error).__name__}); expected a '
                         f'{expected}') from error


def read_npy(file: Path, what: str) -> Array:
    """The array of a ``.npy`` file; nothing pickled is loaded.

    Raises:
        ValueError: damaged, pickled, or an archive.
    """
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f'{file}: not readable as a {what} in NumPy\'s .npy format '
                         f'({error})') from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{file}: an archive, not an array; name it .npz')
    return array


def read_npz(file: Path, what: str, names: Sequence[str]) -> list[Array]:
    """Arrays of a ``.npz`` archive by their names; nothing pickled is loaded.

    Raises:
        ValueError: damaged, pickled, too large when it is unpacked, or without one of the arrays.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_BYTES:
            raise ValueError(f'{unpacked / 2**20:.0f} MiB unpacked are too much')
        with np.load(file, allow_pickle=False) as content:
            for name in names:
                if name not in content.files:
                    raise ValueError(f'no array "{name}" among {content.files}')
            return [np.asarray(content[name]) for name in names]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{file}: not readable as a {what} ({error})') from error


def write_text(path: Path, text: str) -> None:
    """Write a text file that is either complete or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
