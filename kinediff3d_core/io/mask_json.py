"""Masks in JSON: COCO's polygons and run lengths, SAM's lists of them, labelme, Ultralytics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from kinediff3d_core.io.documents import read_documents
from kinediff3d_core.io.files import Array, listed, shortened
from kinediff3d_core.io.images import MAX_PIXELS
from kinediff3d_core.io.mask_choice import MaskChoice, indexed
from kinediff3d_core.io.run_lengths import run_length_mask

MAX_CORNERS = 100_000
"""Most corners of the polygons of an object. Chosen: bounds time."""
EXPECTED = 'COCO annotations, RLE (size, counts), or labelme shapes'
MOST_FLAT = 2
"""Most polygons of an object with no coordinate but 0 and 1; more such rows are the mask itself.
Chosen."""
DRAWN = (None, 'polygon', 'rectangle')
"""Kinds of labelme's shapes that are read."""

_Size = tuple[int, int]


def json_mask(file: Path, choice: MaskChoice, size: _Size | None, frame: str | None) -> Array:
    """Mask (H, W) bool of one annotation.

    Args:
        size: (H, W) of polygons in a file that does not say it.
        frame: file name of the image, in a file of several.

    Raises:
        ValueError: unreadable, none or several annotations and no choice. One line.
    """
    (content,) = read_documents(file, 'mask')[:1]
    try:
        found, its_size = _annotations(content, frame)
        return _segment(_chosen(found, choice), its_size or size)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError,
            RecursionError) as error:
        reason = f'{error} is missing' if isinstance(error, KeyError) else shortened(error, 220)
        raise ValueError(f'{file}: {reason}') from error


def _annotations(content: Any, frame: str | None) -> tuple[Sequence[Any], _Size | None]:
    """The annotations of one image, and its size (H, W) where the file says it."""
    if isinstance(content, Mapping) and 'annotations' in content:
        image = _image(list(content.get('images') or ()), frame)
        found = list(content['annotations'])
        if not image:
            return found, None
        mine = [a for a in found if a.get('image_id', image.get('id')) == image.get('id')]
        return mine, _size_of(image, 'height', 'width')
    if isinstance(content, Mapping) and 'shapes' in content:
        return list(content['shapes']), _size_of(content, 'imageHeight', 'imageWidth')
    if isinstance(content, Mapping) and {'segmentation', 'counts'} & set(content):
        return [content], None
    if isinstance(content, list) and content and all(isinstance(a, Mapping) for a in content):
        return content, None
    raise ValueError(f'not a mask in JSON; expected {EXPECTED}')


def _image(images: Sequence[Mapping[str, Any]], frame: str | None) -> Mapping[str, Any]:
    """The entry of a frame's image, or the only one; empty where there is none."""
    if len(images) < 2:
        return images[0] if images else {}
    stem = PurePath(frame or '').stem
    for image in images:
        if stem and (PurePath(str(image.get('file_name'))).stem == stem
                     or stem.isdigit() and str(image.get('id')) == str(int(stem))):
            return image
    raise ValueError(f'{len(images)} images, none of them called {stem!r} as the depth image; '
                     f'they are {listed((i.get("file_name") for i in images), 3)}')


def _size_of(values: Mapping[str, Any], height: str, width: str) -> _Size | None:
    if values.get(height) is None or values.get(width) is None:
        return None
    return int(values[height]), int(values[width])


def _chosen(found: Sequence[Any], choice: MaskChoice) -> Mapping[str, Any]:
    """The annotation with the id, or the one at the index."""
    if choice.id is not None:
        for annotation in found:
            if annotation.get('id') == choice.id:
                return dict(annotation)
        ids = listed(a['id'] for a in found if a.get('id') is not None)
        raise ValueError(f'no annotation has the id {choice.id}; there are {ids or "no ids"}')
    ids = listed((a['id'] for a in found if a.get('id') is not None), 4)
    what = f'annotations (ids {ids}: --mask-id)' if ids and len(found) > 1 else 'annotations'
    return dict(found[indexed(len(found), choice.index, what)])


def _segment(annotation: Mapping[str, Any], size: _Size | None) -> Array:
    """Mask (H, W) of one annotation."""
    if 'counts' in annotation:
        return run_length_mask(annotation['size'], annotation['counts'])
    if 'points' in annotation:
        return _polygons([_shape(annotation)], size)
    if isinstance(annotation.get('segments'), Mapping):  # Ultralytics
        corners = [annotation['segments'][axis] for axis in 'xy']
        return _polygons([np.ravel(np.transpose(corners))], size)
    if 'segmentation' not in annotation or not annotation['segmentation']:
        box = annotation.get('bbox')
        hint = f'; give its box as --box {" ".join(f"{float(x):g}" for x in box)}' if box else ''
        raise ValueError(f'the annotation has no segmentation{hint}')
    value = annotation['segmentation']
    if isinstance(value, Mapping):
        return run_length_mask(value['size'], value['counts'])
    rows = [row for row in value if isinstance(row, list)]
    if MOST_FLAT < len(rows) == len(value) and all(set(row) <= {0, 1} for row in rows):
        return np.array(value, dtype=bool)
    return _polygons(value if isinstance(value[0], list) else [value], size)


def _shape(annotation: Mapping[str, Any]) -> Array:
    """The corners x, y, x, y, ... of a shape of labelme."""
    kind, points = annotation.get('shape_type'), np.asarray(annotation['points'], dtype=np.float64)
    if kind not in DRAWN:
        raise ValueError(f'a shape of the type {shortened(kind, 30)!r}; draw a polygon')
    if kind == 'rectangle' and points.shape == (2, 2):
        (x, y), (u, v) = points
        return np.array([x, y, u, y, u, v, x, v])
    return points.ravel()


def _polygons(polygons: Sequence[Any], size: _Size | None) -> Array:
    """Mask (H, W) of polygons x, y, x, y, ... in pixels."""
    from PIL import Image, ImageDraw

    if size is None or min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise ValueError('polygons need the size of their image (height, width)'
                         if size is None else f'an image of {size[1]} x {size[0]} pixels')
    if sum(len(p) for p in polygons) > 2 * MAX_CORNERS:
        raise ValueError(f'polygons with more than {MAX_CORNERS} corners')
    image = Image.new('1', (size[1], size[0]))
    draw = ImageDraw.Draw(image)
    reach = 10.0 * max(size)
    for polygon in polygons:
        corners = np.asarray(polygon, dtype=np.float64)
        if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or \
                not np.isfinite(corners).all():
            raise ValueError('a polygon needs three or more corners x, y')
        draw.polygon([float(c) for c in np.clip(corners, -reach, reach)], fill=1)
    return np.asarray(image, dtype=bool)
