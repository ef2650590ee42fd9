"""The generated ``tf2_msgs``: TFMessage and its serialization."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from transform_messages import stamped  # noqa: E402


def test_tf_message_is_unchanged_by_serialization() -> None:
    sent = TFMessage(transforms=[stamped('a', 'b', 1.5, (1, 2, 3)), stamped('b', 'c', 2.5)])
    received = deserialize_message(serialize_message(sent), TFMessage)
    assert received == sent


def test_tf_message_is_serialized_as_a_plain_sequence() -> None:
    """CDR of one transform, byte by byte: header, length 1, stamp, two strings, seven doubles."""
    data = bytes(serialize_message(TFMessage(transforms=[stamped('a', 'b', 3.0, (1, 0, 0))])))
    order = 'little' if data[1] == 1 else 'big'
    words = [int.from_bytes(data[i : i + 4], order) for i in range(4, 20, 4)]
    assert words == [1, 3, 0, 2]  # one transform; 3 s, 0 ns; 'a' and its terminating zero
    assert data[20:22] == b'a\0'
    assert np.frombuffer(data[-56:], '<f8' if order == 'little' else '>f8').tolist() == [
        *(1.0, 0.0, 0.0),
        *(0.0, 0.0, 0.0, 1.0),
    ]
