"""Cameras in plain text: nine numbers, ``ost.txt`` of ROS's camera_calibration, librealsense."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kinediff3d_core.io.files import (
    MAX_MESSAGE,
    Array,
    checked_file,
    decoded,
    read_npy,
    read_npz_all,
    shortened,
)
from kinediff3d_core.io.librealsense_text import librealsense_cameras

MAX_TEXT = 65536
"""Bytes of a file in which its cameras are. Chosen."""
MOST_NUMBERS = 64
"""Most numbers of an array that says something of a camera. Chosen: a matrix has 16 at most."""
SUFFIXES = ('', '.txt', '.ini', '.csv')
"""Names of such files end with one of these."""
SECTIONS = {'width': 'width', 'height': 'height', 'camera matrix': 'k', 'distortion': 'd',
            'projection': 'p'}
"""Titles in ``ost.txt``, and the keys of a message that they stand for."""
_WRITTEN = re.compile(r"\A\s*[A-Za-z_]\w*\s*=|\b[\w.]*(?:array|matrix)\(|'d',"
                      r"|,\s*dtype=[\w.]+|\)|^---$", re.MULTILINE)
"""What stands around the numbers of a matrix in MATLAB, in Python, and where a field of a message
was printed."""


def plain_cameras(path: Path) -> dict[str, Any] | None:
    """Values by the keys of a camera info message, or cameras by name; None of other files.

    Plain are ``.npy`` and ``.npz`` files, and texts of one of :data:`SUFFIXES` without
    ``key: value``.

    Raises:
        ValueError: neither a matrix nor ``ost.txt``.
    """
    file = checked_file(path, 'camera info')
    if file.suffix.lower() == '.npy':
        return _small({'k': read_npy(file, 'camera matrix')})
    if file.suffix.lower() == '.npz':
        return _small(read_npz_all(file, 'camera info'))
    if file.suffix.lower() not in SUFFIXES:
        return None
    try:
        with file.open('rb') as stream:
            text = decoded(stream.read(MAX_TEXT))
        cameras = librealsense_cameras(text)
        if cameras or ':' in text:
            return cameras or None
        return _ost(text) or {'k': _numbers(text)}
    except ValueError as error:
        raise ValueError(f'{file}: expected a matrix of 3 x 3 numbers '
                         f'({shortened(error, MAX_MESSAGE // 4)})') from error


def _small(arrays: dict[str, Array]) -> dict[str, Any]:
    """The arrays that a calibration can hold, as lists."""
    return {name: array.tolist() for name, array in arrays.items() if array.size <= MOST_NUMBERS}


def _numbers(text: str) -> list[float]:
    """The numbers of a matrix, however they are separated."""
    lines = [line.split('#')[0] for line in _WRITTEN.sub(' ', text).splitlines()]
    words = re.split(r'[\s,;\[\]]+', ' '.join(lines).strip(' ,;[]'))
    numbers = [float(word) for word in words if word]
    if len(numbers) not in (4, 9, 12, 16):
        raise ValueError(f'it has {len(numbers)}')
    return numbers


def _ost(text: str) -> dict[str, Any]:
    """The sections of ``ost.txt``; empty where there are none."""
    found: dict[str, Any] = {}
    numbers: list[float] = []
    for line in text.splitlines():
        title = line.strip().lower()
        if title in SECTIONS:
            numbers = found.setdefault(SECTIONS[title], [])
        elif title and re.fullmatch(r'[-+0-9.eE\s]+', title):
            numbers.extend(float(x) for x in title.split() if re.search(r'\d', x))
        elif title:
            numbers = []
    for key in ('width', 'height'):
        if len(found.get(key, [])) == 1:
            found[key] = found[key][0]
    return found if 'k' in found else {}
