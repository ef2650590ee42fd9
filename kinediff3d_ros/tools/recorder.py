"""A node that records topics on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from kinediff3d_ros.nodes.running import make_executor, spin

MessageT = TypeVar('MessageT')
AnswerT = TypeVar('AnswerT')

WAIT_PERIOD = 0.1
"""Longest time between two checks of a condition that no message changes, s. Chosen."""

JOIN_TIMEOUT = 10.0
"""Seconds for the thread to end. Chosen."""


class TopicLog(Generic[MessageT]):
    """Received messages of one topic.

    Args:
        keep: length of the log; None is unlimited.
        raw: the subscription delivers bytes, which ``messages`` deserializes.

    Attributes:
        entries: arrival (s since the epoch) and message, or its bytes, oldest first.
    """

    def __init__(self, message_type: type[MessageT], keep: int | None, raw: bool) -> None:
        self._raw_type = message_type if raw else None
        self.entries: deque[tuple[float, MessageT]] = deque(maxlen=keep)

    @property
    def messages(self) -> list[MessageT]:
        """The messages, oldest first."""
        return [message if self._raw_type is None else deserialize_message(message, self._raw_type)
                for _, message in list(self.entries)]


class Recorder:
    """A node on a thread of its own that logs topics.

    Args:
        domain: ROS domain to join.
    """

    def __init__(self, domain: int, name: str = 'recorder') -> None:
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = Node(name, context=self._context)
        self._changed = threading.Condition()
        self._closing = False
        self._executor = make_executor(self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name='recorder', daemon=True)
        self._thread.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, message_type: type[MessageT], topic: str, qos: QoSProfile | int = 10,
               keep: int | None = None, raw: bool = False) -> TopicLog[MessageT]:
        """The log of a topic from now on.

        Args:
            keep: number of messages that the log holds; None holds all.
            raw: log the bytes, which is cheaper where few of the messages are read.
        """
        log = TopicLog(message_type, keep, raw)

        def add(message: MessageT) -> None:
            with self._changed:
                log.entries.append((time.time(), message))
                self._changed.notify_all()

        self.node.create_subscription(message_type, topic, add, qos, raw=raw)
        return log

    def wait_for(self, condition: Callable[[], AnswerT | None], timeout: float,
                 what: str) -> AnswerT:
        """The first true value of ``condition``, which is evaluated after each message.

        Args:
            what: name of what is awaited, for the error.

        Raises:
            TimeoutError: no true value within ``timeout`` s.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                answer = condition()
                if answer:
                    return answer
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f'no {what} within {timeout:g} s')
                self._changed.wait(min(left, WAIT_PERIOD))

    def close(self) -> None:
        """End the thread and destroy the node."""
        self._closing = True
        self._thread.join(JOIN_TIMEOUT)
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        spin(self._executor, lambda: not self._closing)


def stamp_key(message: Any) -> tuple[int, int]:
    """Stamp of a message's header as (s, ns)."""
    return message.header.stamp.sec, message.header.stamp.nanosec
