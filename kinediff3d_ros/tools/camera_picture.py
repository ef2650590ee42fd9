"""Camera images as small pictures for a page, and which of a node's images to show."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image

from kinediff3d_core.visualization.preview import depth_colours
from kinediff3d_ros.messages.images import DEPTH_ENCODINGS, depth_from_image

PICTURE_WIDTH = 400
"""Greatest width of a picture, px. Chosen: about that of the panel."""

NO_DEPTH = (40, 40, 45)
"""Colour of pixels without depth."""

CHANNELS = {'rgb8': (0, 1, 2), 'rgba8': (0, 1, 2), 'bgr8': (2, 1, 0), 'bgra8': (2, 1, 0),
            'mono8': (0, 0, 0), '8UC1': (0, 0, 0)}
"""Red, green and blue among the channels of each encoding of colour and grey images."""

_BRIDGE = CvBridge()


def picture_of(image: Image | CompressedImage) -> np.ndarray:
    """A picture (H, W, 3) uint8 of a depth, colour or grey image; depth from yellow to violet.

    Raises:
        ValueError: another encoding, or damaged data.
    """
    if isinstance(image, CompressedImage) or image.encoding in DEPTH_ENCODINGS:
        return _depth_picture(_thinned(depth_from_image(image)))
    if image.encoding not in CHANNELS:
        raise ValueError(f'image has encoding {image.encoding!r}; need depth (16UC1, 32FC1) or '
                         f'one of {", ".join(CHANNELS)}')
    try:
        pixels = _BRIDGE.imgmsg_to_cv2(image, desired_encoding='passthrough')
    except (CvBridgeError, ValueError) as error:
        raise ValueError(f'image cannot be read: {error}') from error
    pixels = _thinned(pixels.reshape(image.height, image.width, -1))
    return np.ascontiguousarray(pixels[..., CHANNELS[image.encoding]])


def _thinned(pixels: np.ndarray) -> np.ndarray:
    step = -(-pixels.shape[1] // PICTURE_WIDTH)
    return pixels[::step, ::step]


def _depth_picture(depth: np.ndarray) -> np.ndarray:
    picture = np.full((*depth.shape, 3), NO_DEPTH, np.uint8)
    measured = depth > 0
    if measured.any():
        picture[measured] = 255 * depth_colours(depth[measured])
    return picture


def image_to_show(topics: Collection[str]) -> str:
    """Of the images that a perception node uses, the depth image; '' if it uses none.

    Args:
        topics: names of the image topics that the node subscribes to: depth and mask.
    """
    return min(topics, key=lambda t: ('depth' not in t, 'mask' in t, t), default='')
