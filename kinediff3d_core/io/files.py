"""Files: checked before they are read, complete or absent after they are written."""

from __future__ import annotations

import codecs
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray[Any, Any]
T = TypeVar('T')

MAX_BYTES = 512 * 2**20
"""Largest file that is opened. Chosen: bounds memory."""

MAX_UNPACKED = 96 * 2**20
"""Bytes of an archive when it is unpacked, beside twice its own. Chosen: bounds memory."""
MAX_MESSAGE = 300
"""Longest message of an error, characters. Chosen: what fits on a few lines of a terminal."""


def shortened(message: object, most: int = MAX_MESSAGE // 2) -> str:
    """The message on one line, without its middle where it is longer than ``most`` characters."""
    line = ' '.join(str(message).split())
    if not line and isinstance(message, BaseException):
        line = type(message).__name__
    if len(line) <= most:
        return line
    tail = most // 3
    return f'{line[:most - tail - 3]} … {line[-tail:]}'


def listed(names: Iterable[object], most: int = 8) -> str:
    """The first names, separated by commas, and how many more there are."""
    texts = [shortened(name, 24) for name in names]
    rest = len(texts) - most
    return ', '.join(texts[:most]) + (f' and {rest} more' if rest > 0 else '')


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


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 as Windows PowerShell redirects output.

    Raises:
        UnicodeDecodeError: neither.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode('utf-16' if wide else 'utf-8-sig').replace('\r\n', '\n')


def read_npy(file: Path, what: str) -> Array:
    """The array of a ``.npy`` file; nothing pickled is loaded.

    Raises:
        ValueError: damaged, pickled, or an archive.
    """
    try:
        array = np.load(file, allow_pickle=False)
    except Exception as error:  # NumPy passes on whatever the parser of its header raises
        raise ValueError(f'{file}: not readable as a {what} in NumPy\'s .npy format '
                         f'({shortened(error, 80)})') from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{file}: an archive, not an array; name it .npz')
    return array


def read_npz(file: Path, what: str, names: Sequence[str]) -> list[Array]:
    """Arrays of a ``.npz`` archive by their names; nothing pickled is loaded.

    Raises:
        ValueError: damaged, pickled, too large when it is unpacked, or without one of the arrays.
    """
    def pick(content: Mapping[str, Any]) -> list[Array]:
        for name in names:
            if name not in content:
                raise ValueError(f'no array "{name}" among {listed(content)}')
        return [np.asarray(content[name]) for name in names]

    return _with_archive(file, what, pick)


def read_npz_all(file: Path, what: str) -> dict[str, Array]:
    """All arrays of a ``.npz`` archive by their names; nothing pickled is loaded.

    Raises:
        ValueError: damaged, pickled, or too large when it is unpacked.
    """
    return _with_archive(file, what, lambda content: {name: np.asarray(content[name])
                                                      for name in content})


def read_npz_one(file: Path, what: str, names: Sequence[str]) -> Array:
    """The array of a ``.npz`` archive that has one of the names, or that is alone in it.

    Raises:
        ValueError: damaged, pickled, too large when it is unpacked, or another choice of arrays.
    """
    def pick(content: Mapping[str, Any]) -> Array:
        found = [name for name in names if name in content] or list(content)
        if len(found) != 1 and found[:1] != [name for name in names if name in content][:1]:
            raise ValueError(f'the arrays {listed(content)}; name the {what} "{names[0]}"')
        return np.asarray(content[found[0]])

    return _with_archive(file, what, pick)


def _with_archive(file: Path, what: str, pick: Callable[[Any], T]) -> T:
    """What is picked from an archive of bounded size."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_UNPACKED + 2 * file.stat().st_size:
            raise ValueError(f'{unpacked / 2**20:.0f} MiB unpacked are too much')
        with np.load(file, allow_pickle=False) as content:
            return pick(content)
    except Exception as error:  # of zipfile, its decompressors and NumPy's parser
        raise ValueError(f'{file}: not readable as a {what} ({shortened(error, 120)})'
                         ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file that is either complete or not there; see :func:`write_bytes`."""
    write_bytes(path, text.encode('utf-8'))


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file that is either complete or not there.

    Raises:
        OSError: it cannot be written, as on a full disk. The message names the file, and nothing
            is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
        with os.fdopen(handle, 'wb') as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(f'{path} cannot be written: {error.strerror or error}') from error
        raise
