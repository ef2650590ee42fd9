"""Publishers and subscriptions with QoS parameters, and services that answer later."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

from rclpy.exceptions import InvalidHandle, InvalidParameterTypeException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.service import Service
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


def late_service(node: Node, kind: type, name: str,
                 callback: Callable[[Any, Callable[[], None]], None]) -> Service:
    """Create a service whose response may be sent after its callback has returned.

    Not every executor of Jazzy runs coroutines as callbacks of services.

    Args:
        callback: takes an empty response and a function that sends it. That function may be called
            later, from any thread; it does nothing if the service is destroyed by then.
    """
    service = node.create_service(kind, name, lambda request, response: response)
    send = service.send_response

    def later(response: Any, header: Any) -> None:
        def now() -> None:
            with contextlib.suppress(InvalidHandle):
                send(response, header)

        callback(response, now)

    # Executors call this with what the callback has returned.
    service.send_response = later
    return service


def _overridable(create: Callable, qos: QoSProfile | int, *arguments: object) -> Any:
    try:
        # rclpy writes the overrides into the profile, which may be shared.
        return create(*arguments, copy.copy(qos),
                      qos_overriding_options=QoSOverridingOptions.with_default_policies())
    except (RuntimeError, InvalidParameterTypeException) as error:
        raise ValueError(str(error)) from error
