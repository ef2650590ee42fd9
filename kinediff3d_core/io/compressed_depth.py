"""Depth images as ``compressed_depth_image_transport`` (ROS) compresses them.

The data begin with a header: an enumerator (int32, unused) and two float32, A and B. A PNG with
one channel of 16 bits follows. Of a ``16UC1`` image its values are the depth in millimetres. Of a
``32FC1`` image they are q = A / depth + B, the inverse depth in equal steps; q = 0 is no
measurement.
"""

from __future__ import annotations

import io
import struct

import numpy as np

from kinediff3d_core.io.depth import depth_in_metres
from kinediff3d_core.io.files import Array
from kinediff3d_core.io.images import decode_image

HEADER = struct.Struct('<iff')
"""Enumerator, A, B."""

ENCODINGS = ('16UC1', 'mono16', '32FC1')
"""Encodings of the image before it was compressed."""

CODECS = ('', 'compressedDepth', 'compressedDepth png')
"""Second part of the format of a PNG; older publishers write less."""


def decode_compressed_depth(image_format: str, data: bytes) -> Array:
    """Depth (H, W) float32 in metres, 0 where there is none, of a compressed depth image.

    Args:
        image_format: encoding and codec, as ``16UC1; compressedDepth png``.
        data: header and PNG.

    Raises:
        ValueError: another format (RVL is not read), or data that cannot be decoded.
    """
    encoding, _, codec = (part.strip() for part in image_format.partition(';'))
    if encoding not in ENCODINGS or codec not in CODECS:
        raise ValueError(f'compressed depth image has format {image_format!r}; need 16UC1 or '
                         '32FC1 with "compressedDepth png" (set the parameter '
                         '….compressedDepth.format of the publisher to png; a recording: play it '
                         'and republish it as raw)')
    if len(data) <= HEADER.size:
        raise ValueError(f'compressed depth image holds {len(data)} bytes: no image after its '
                         f'header of {HEADER.size}')
    pixels = decode_image(io.BytesIO(data[HEADER.size:]), 'compressed depth image',
                          'PNG after a header of 12 bytes', ('PNG',))
    if pixels.ndim != 2 or pixels.dtype.itemsize < 2:
        raise ValueError(f'compressed depth image has a PNG of shape {pixels.shape} and type '
                         f'{pixels.dtype}; need one channel of 16 bits')
    if encoding != '32FC1':
        return depth_in_metres(pixels.astype(np.uint16))
    _, a, b = HEADER.unpack_from(data)
    if not (np.isfinite([a, b]).all() and a > 0):
        raise ValueError(f'compressed depth image has the quantization {a:g}, {b:g}; need finite '
                         'numbers, the first above zero')
    steps = pixels.astype(np.float32)
    with np.errstate(divide='ignore', over='ignore'):
        depth = np.float32(a) / (steps - np.float32(b))
    depth[steps == 0] = 0
    return depth_in_metres(depth)
