"""Publishers and subscriptions with QoS parameters."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

INPUT_DEPTH = 5
"""Messages of an input that wait to be taken, as in rclpy's profile for sensor data."""

CHECK_PERIOD = 1.0
"""Time between two checks of the reliability that an input's publishers offer, s. Chosen."""


def publisher(node: Node, kind: type, topic: str, qos: QoSProfile | int = 10) -> Publisher:
    """Create a publisher; history, depth and reliability of ``qos`` are only their defaults.

    Parameters ``qos_overrides.<resolved topic>.publisher.<policy>`` override them.

    Raises:
        ValueError: an override is of the wrong type or no such policy.
    """
    return _overridable(node.create_publisher, qos, kind, topic)


class InputSubscription:
    """A subscription that is as reliable as all publishers of its topic: ``BEST_AVAILABLE``.

    The middleware resolves that policy once, when the subscription is made: reliable if every
    publisher is, also while there is none (rmw_dds_common,
    ``qos_profile_get_best_available_for_subscription``). It would then never match a best-effort
    publisher that appears later. So this class subscribes anew once the publishers ask for
    another reliability. Parameters override the policies, as for :func:`publisher`, with
    ``subscription`` for ``publisher``; with another reliability nothing is subscribed anew.

    Args:
        callback: takes each message, on the executor's thread.

    Attributes:
        topic: the resolved name.

    Raises:
        ValueError: an override is of the wrong type or no such policy.
    """

    def __init__(self, node: Node, kind: type, topic: str, callback: Callable[[Any], None],
                 ) -> None:
        self._node, self.topic = node, node.resolve_topic_name(topic)
        qos = QoSProfile(depth=INPUT_DEPTH, reliability=ReliabilityPolicy.BEST_AVAILABLE)
        self._subscribe = lambda: _overridable(node.create_subscription, qos, kind, topic,
                                               callback)
        # Objects come and go on the scene's threads, the timer runs on the executor's.
        self._lock = threading.Lock()
        self._reliable = self._all_reliable() is not False
        self._subscription = self._subscribe()
        self._timer = None
        if self._subscription.qos_profile.reliability == ReliabilityPolicy.BEST_AVAILABLE:
            self._timer = node.create_timer(CHECK_PERIOD, self._check, clock=Clock(
                clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Unsubscribe."""
        with self._lock:
            if self._timer is not None:
                self._node.destroy_timer(self._timer)
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    @property
    def qos_profile(self) -> QoSProfile:
        """Quality of service of the present subscription."""
        with self._lock:
            return self._subscription.qos_profile

    def count_publishers(self) -> int:
        """Number of publishers of the topic, whether they match or not."""
        return int(self._node.count_publishers(self.topic))

    def _all_reliable(self) -> bool | None:
        """Whether all publishers are reliable; None without a publisher."""
        offers = [p.qos_profile.reliability
                  for p in self._node.get_publishers_info_by_topic(self.topic)]
        return all(x == ReliabilityPolicy.RELIABLE for x in offers) if offers else None

    def _check(self) -> None:
        """Subscribe anew if ``BEST_AVAILABLE`` resolves to another reliability by now."""
        reliable = self._all_reliable()
        with self._lock:
            if self._subscription is None or reliable in (None, self._reliable):
                return
            self._node.destroy_subscription(self._subscription)
            self._subscription, self._reliable = self._subscribe(), reliable


def _overridable(create: Callable, qos: QoSProfile | int, *arguments: object) -> Any:
    try:
        # rclpy writes the overrides into the profile, which may be shared.
        return create(*arguments, copy.copy(qos),
                      qos_overriding_options=QoSOverridingOptions.with_default_policies())
    except (RuntimeError, InvalidParameterTypeException) as error:
        raise ValueError(str(error)) from error
