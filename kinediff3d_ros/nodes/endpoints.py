"""Publishers and subscriptions with QoS parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription


def publisher(node: Node, kind: type, topic: str, qos: QoSProfile | int = 10) -> Publisher:
    """Create a publisher; history, depth and reliability of ``qos`` are only their defaults.

    Parameters ``qos_overrides.<resolved topic>.publisher.<policy>`` override them.

    Raises:
        ValueError: an override is of the wrong type or no such policy.
    """
    return _overridable(node.create_publisher, qos, kind, topic)


def subscription(node: Node, kind: type, topic: str, callback: Callable[[Any], None],
                 qos: QoSProfile | int = 10) -> Subscription:
    """Create a subscription; as :func:`publisher`, with ``subscription`` for ``publisher``."""
    return _overridable(node.create_subscription, qos, kind, topic, callback)


def _overridable(create: Callable, qos: QoSProfile | int, *arguments: object) -> Any:
    try:
        # rclpy writes the overrides into the profile, which may be shared.
        return create(*arguments, copy.copy(qos),
                      qos_overriding_options=QoSOverridingOptions.with_default_policies())
    except (RuntimeError, InvalidParameterTypeException) as error:
        raise ValueError(str(error)) from error
