"""The conversions of ROS 2's ``cv_bridge`` that depth and mask topics need, in NumPy.

Colour conversion supports only grey, RGB and BGR with 8 bits. Compressed images are not supported.
"""

from __future__ import annotations

import array
import re

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

NAMED = {
    'mono8': ('uint8', 1),
    'mono16': ('uint16', 1),
    'rgb8': ('uint8', 3),
    'bgr8': ('uint8', 3),
    'rgba8': ('uint8', 4),
    'bgra8': ('uint8', 4),
    'rgb16': ('uint16', 3),
    'bgr16': ('uint16', 3),
}
"""Type and number of channels of the encodings that are named after their content."""

KINDS = {'U': 'uint', 'S': 'int', 'F': 'float'}
WIDTHS = {'U': (8, 16), 'S': (8, 16, 32), 'F': (32, 64)}
GREY_OF_RGB = np.array([0.299, 0.587, 0.114])
"""Rec. 601 luma weights."""


class CvBridgeError(TypeError):
    """An image cannot be converted; the message gives the reason."""


class CvBridge:
    """Converts between ``sensor_msgs/Image`` and arrays (H, W), or (H, W, C) for C > 1."""

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the NumPy type's name and the number of channels of an encoding.

        Raises:
            CvBridgeError: the encoding is not known.
        """
        if encoding in NAMED:
            return NAMED[encoding]
        match = re.fullmatch(r'(8|16|32|64)([USF])(?:C([1-9]\d*))?', encoding)
        if match is None or int(match[1]) not in WIDTHS[match[2]]:
            raise CvBridgeError(f'Unrecognized image encoding [{encoding}]')
        return f'{KINDS[match[2]]}{match[1]}', int(match[3] or 1)

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """Return the generic encoding of an array, such as ``16UC1``.

        Raises:
            CvBridgeError: no encoding has this type.
        """
        dtype = np.dtype(dtype)
        letter = {'u': 'U', 'i': 'S', 'f': 'F'}.get(dtype.kind, '')
        bits = 8 * dtype.itemsize
        if bits not in WIDTHS.get(letter, ()):
            raise CvBridgeError(f'no image encoding has elements of type {dtype}')
        return f'{bits}{letter}C{n_channels}'

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = 'passthrough') -> np.ndarray:
        """Return a copy of a message's pixels, in the machine's byte order.

        Args:
            img_msg: the message; rows may be padded (``step``), either byte order.
            desired_encoding: ``passthrough``, or the encoding to convert to.

        Raises:
            CvBridgeError: the encoding is unknown, the data is shorter than the declared size, or
                there is no conversion.
        """
        name, channels = self.encoding_to_dtype_with_channels(img_msg.encoding)
        stored = np.dtype(name).newbyteorder('>' if img_msg.is_bigendian else '<')
        height, width, step = img_msg.height, img_msg.width, img_msg.step
        row = width * channels * stored.itemsize
        data = np.frombuffer(img_msg.data, dtype=np.uint8)
        if step < row or data.size < height * step:
            raise CvBridgeError(
                f'an image of {width}x{height} {img_msg.encoding} with step {step} does not fit '
                f'into {data.size} bytes'
            )
        packed = data[: height * step].reshape(height, step)[:, :row]
        shape = (height, width) if channels == 1 else (height, width, channels)
        image = np.ascontiguousarray(packed).view(stored).reshape(shape)
        image = image.astype(name, copy=np.shares_memory(image, data))
        if desired_encoding == 'passthrough' or desired_encoding == img_msg.encoding:
            return image
        return self._convert(image, img_msg.encoding, desired_encoding)

    def _convert(self, image: np.ndarray, encoding: str, desired: str) -> np.ndarray:
        if {encoding, desired} == {'rgb8', 'bgr8'}:
            return np.ascontiguousarray(image[..., ::-1])
        if encoding == 'mono8' and desired in ('rgb8', 'bgr8'):
            return np.repeat(image[..., None], 3, axis=2)
        if encoding in ('rgb8', 'bgr8') and desired == 'mono8':
            weights = GREY_OF_RGB if encoding == 'rgb8' else GREY_OF_RGB[::-1]
            return np.rint(image @ weights).astype(np.uint8)
        same = self.encoding_to_dtype_with_channels(encoding)
        if self.encoding_to_dtype_with_channels(desired) == same:
            generic = self.dtype_with_channels_to_cvtype2(image.dtype, same[1])
            if same[1] == 1 or generic in (encoding, desired):
                return image
        raise CvBridgeError(f'no conversion from [{encoding}] to [{desired}]')

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = 'passthrough', header: Header | None = None
    ) -> Image:
        """Return an array as a message.

        Args:
            cvim: (H, W) or (H, W, C).
            encoding: ``passthrough`` for the generic encoding of the array's type, or any encoding
                with the same type and number of channels.
            header: stamp and frame; optional.

        Raises:
            TypeError: not an array.
            CvBridgeError: the encoding does not match the array.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError(f'expected a NumPy array, got {type(cvim).__name__}')
        channels = cvim.shape[2] if cvim.ndim == 3 else 1
        generic = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding == 'passthrough':
            encoding = generic
        elif self.encoding_to_dtype_with_channels(encoding) != (cvim.dtype.name, channels):
            raise CvBridgeError(
                f'encoding specified as {encoding}, but image has incompatible type {generic}'
            )
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        if header is not None:
            message.header = header
        message.is_bigendian = int(cvim.dtype.byteorder == '>')
        message.step = cvim.shape[1] * channels * cvim.dtype.itemsize
        message.data = array.array('B', cvim.tobytes())
        return message
