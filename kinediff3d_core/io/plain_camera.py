"""Cameras in plain text: nine numbers, and the ``ost.txt`` of ROS's camera_calibration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kinediff3d_core.io.files import MAX_MESSAGE, checked_file, shortened

MAX_TEXT = 65536
"""Largest such file, bytes. Chosen."""
SECTIONS = {'width': 'width', 'height': 'height', 'camera matrix': 'k', 'distortion': 'd',
            'projection': 'p'}
"""Titles in ``ost.txt``, and the keys of a message that they stand for."""


def is_plain(file: Path) -> bool:
    """Whether a file is plain text by its name and holds no ``key: value``."""
    if file.suffix.lower() not in ('.txt', '.ini'):
        return False
    with file.open('rb') as stream:
        return b':' not in stream.read(MAX_TEXT)


def read_plain_camera(path: Path) -> dict[str, Any]:
    """Values by the keys of a camera info message.

    Raises:
        ValueError: neither nine numbers nor ``ost.txt``.
    """
    file = checked_file(path, 'camera info')
    if file.stat().st_size > MAX_TEXT:
        raise ValueError(f'{file}: more than {MAX_TEXT} bytes; expected a matrix of 3 x 3 numbers')
    text = file.read_text(encoding='utf-8', errors='replace')
    lines = [line.split('#')[0] for line in text.splitlines()]
    words = re.split(r'[\s,;\[\]]+', ' '.join(lines).strip(' ,;[]'))
    try:
        found = _ost(text)
        if found:
            return found
        numbers = [float(word) for word in words if word]
    except ValueError as error:
        raise ValueError(f'{file}: expected a matrix of 3 x 3 numbers '
                         f'({shortened(error, MAX_MESSAGE // 4)})') from error
    if len(numbers) not in (4, 9, 12, 16):
        raise ValueError(f'{file}: expected a matrix of 3 x 3 numbers, it has {len(numbers)}')
    return {'k': numbers}


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
