"""Calibrations as librealsense prints them: ``rs-enumerate-devices -c``, and in Python."""

from __future__ import annotations

import re
from typing import Any

_PRINTED = re.compile(r'(?P<width>\d+)x(?P<height>\d+)\s+p\[(?P<ppx>\S+) (?P<ppy>\S+)\]\s+'
                      r'f\[(?P<fx>\S+) (?P<fy>\S+)\]\s+(?P<model>[A-Za-z ]+?)\s*'
                      r'\[(?P<coeffs>[^\]]*)\]')
"""``str(pyrealsense2.intrinsics)``."""
_LISTED = re.compile(r'Intrinsic of "([^"\n]+)" / (\d+x\d+)[^\n]*\n((?:[ \t]+[^\n:]+:[^\n]*\n?)+)')
"""A stream's name, its size and its lines in the output of ``rs-enumerate-devices -c``."""
_LINE = re.compile(r'^\s*(Width|Height|PPX|PPY|Fx|Fy|Distortion|Coeffs):[ \t]*(.*?)\s*$', re.M)


def librealsense_cameras(text: str) -> dict[str, Any]:
    """The cameras in a text by their names, each with the keys of librealsense; empty if none."""
    found: dict[str, Any] = {}
    for printed in _PRINTED.finditer(text):
        found[f'{len(found) + 1}'] = _camera(printed.groupdict())
    for stream, size, lines in _LISTED.findall(text):
        values = {key.lower(): value for key, value in _LINE.findall(lines)}
        found[f'{stream} {size}'] = _camera({'model': values.pop('distortion', ''), **values})
    return found


def _camera(values: dict[str, str]) -> dict[str, Any]:
    """One camera; its coefficients as numbers."""
    return {**values, 'coeffs': [float(x) for x in values.get('coeffs', '').split()]}
