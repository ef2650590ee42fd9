"""Writes folders with one depth frame each, and sequences, as the data set ``frames`` has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (24, 32)
"""(H, W) of the images."""
DEPTH_MM = 700


def write_frame_folder(folder: Path, truth: dict[str, Any], mask: bool = True) -> Path:
    """A folder of one frame, in which the mask is a rectangle."""
    write_camera(folder)
    (folder / 'truth.json').write_text(json.dumps(truth))
    write_depth(folder / 'depth.png')
    if mask:
        write_mask(folder / 'mask.png')
    return folder


def write_sequence(folder: Path, truth: dict[str, Any], frames: list[str]) -> Path:
    """A folder of a sequence; the first frame has a mask."""
    write_camera(folder)
    (folder / 'truth.json').write_text(json.dumps(truth))
    for name in frames:
        write_depth(folder / 'depth' / f'{name}.png')
    write_mask(folder / f'mask_{frames[0]}.png')
    return folder


def write_camera(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'camera_info.yaml').write_text(
        f'width: {SIZE[1]}\nheight: {SIZE[0]}\nk: [30.0, 0, 16.0, 0, 30.0, 12.0, 0, 0, 1]\n')


def write_depth(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(SIZE, DEPTH_MM, dtype=np.uint16)).save(path)


def write_mask(path: Path) -> None:
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[5:15, 10:20] = 255
    Image.fromarray(mask).save(path)
