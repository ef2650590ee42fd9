"""Image messages: to depth, masks and instance ids, and from pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kinediff3d_core.io.compressed_depth import decode_compressed_depth
from kinediff3d_core.io.depth import depth_in_metres
from kinediff3d_core.io.mask import instance_mask

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header

DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')
"""Millimetres as integers, metres as floating numbers (REP 118)."""

COMPRESSED = 'compressedDepth'
"""Transport of compressed depth images; the last token of their topics."""

MASK_ENCODINGS = ('mono8', 'mono16', '8UC1', '16UC1')

_TYPES = {'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4', 'mono8': 'u1', '8UC1': 'u1'}
"""NumPy's type of each encoding, without its byte order."""


def depth_topic(topic: str, transport: str) -> str:
    """Topic of depth images with a transport, ``raw`` or ``compressedDepth``."""
    return topic if transport == 'raw' else f'{topic}/{transport}'


def depth_type(topic: str) -> type:
    """Type of the depth images on a topic."""
    from sensor_msgs.msg import CompressedImage, Image

    return CompressedImage if is_compressed(topic) else Image


def is_compressed(topic: str) -> bool:
    """Whether the depth images on a topic are compressed."""
    return topic.endswith(f'/{COMPRESSED}')


def depth_from_image(image: Image | CompressedImage) -> np.ndarray:
    """Depth (H, W) float32 in metres, zero where there is none, of a 16UC1 or 32FC1 image.

    Raises:
        ValueError: another encoding, or data that does not fit height, width and step, or cannot
            be decompressed.
    """
    if hasattr(image, 'format'):  # a CompressedImage, of rclpy or of a recording
        return decode_compressed_depth(image.format, bytes(image.data))
    if image.encoding not in DEPTH_ENCODINGS:
        raise ValueError(f'depth image has encoding {image.encoding!r}; '
                         'need 16UC1 (mm) or 32FC1 (m)')
    return depth_in_metres(_pixels(image, 'depth image'))


def mask_from_image(image: Image, mask_id: int = 0) -> np.ndarray:
    """Object pixels (H, W) bool of a mono8 or mono16 mask.

    Args:
        mask_id: instance id of the object; 0 takes every non-zero pixel.

    Raises:
        ValueError: another encoding, or data that does not fit height, width and step.
    """
    return instance_mask(instances_from_image(image), mask_id)


def instances_from_image(image: Image) -> np.ndarray:
    """Instance ids (H, W) uint16 of a mono8 or mono16 mask, 0 where there is no object.

    Raises:
        ValueError: another encoding, or data that does not fit height, width and step.
    """
    if image.encoding not in MASK_ENCODINGS:
        raise ValueError(f'mask has encoding {image.encoding!r}; need mono8 or mono16')
    return _pixels(image, 'mask').astype(np.uint16)


def _pixels(image: Image, what: str) -> np.ndarray:
    """Pixels (H, W) in native byte order."""
    dtype = np.dtype(_TYPES[image.encoding])
    least = image.width * dtype.itemsize
    if image.width == 0 or image.height == 0:
        raise ValueError(f'{what} is empty: {image.width} x {image.height} pixels')
    step = image.step or least  # some publishers leave it zero
    if step < least or step % dtype.itemsize:
        raise ValueError(f'{what} has step {image.step}, which does not fit {image.width} pixels '
                         f'of {image.encoding}')
    if len(image.data) < step * image.height:
        raise ValueError(f'{what} holds {len(image.data)} bytes; its header says '
                         f'{step * image.height} (step {step} x height {image.height})')
    rows = np.frombuffer(image.data, np.uint8, step * image.height)
    stored = rows.reshape(image.height, step)[:, :least].view(
        dtype.newbyteorder('>' if image.is_bigendian else '<'))
    return stored.astype(dtype, copy=False)


def image_from_pixels(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Image message of pixels (H, W) whose dtype fits the encoding."""
    from cv_bridge import CvBridge

    image = CvBridge().cv2_to_imgmsg(pixels, encoding=encoding)
    image.header = header
    return image
