"""The topics of one object, as a viewer uses them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes.endpoints import InputSubscription
from kinediff3d_ros.tools.shown_objects import ShownObject

DEVIATIONS = 'joint_states_stddev'
"""The topic by which objects are known: robots have those of the others, too."""

LAST_COMMAND_TIME = 0.5
"""Seconds for the last command to arrive. Chosen."""


def object_prefixes(node: Node) -> dict[str, str]:
    """Name of each object in a node's namespace, by the prefix of its topics.

    Topics without a publisher do not count: the viewer's own subscriptions keep them known.
    """
    namespace = node.get_namespace().rstrip('/') + '/'
    prefixes = (topic.removesuffix(DEVIATIONS) for topic, types in
                node.get_topic_names_and_types()
                if topic.endswith(f'/{DEVIATIONS}') and topic.startswith(namespace)
                and 'sensor_msgs/msg/JointState' in types and node.count_publishers(topic))
    return {prefix: prefix.strip('/').rpartition('/')[2] for prefix in prefixes
            if prefix.removeprefix(namespace).count('/') <= 1}


class ObjectTopics:
    """Fills a :class:`ShownObject` from the topics of the object, and commands its ghost.

    Args:
        prefix: of the topics, ending in ``/``.
        show_contact: is called with the name of a part and its contact.

    Attributes:
        name: of the object.
    """

    def __init__(self, node: Node, prefix: str, shown: ShownObject,
                 show_contact: Callable[[str, PoseStamped], None]) -> None:
        self._node, self._prefix, self._show_contact = node, prefix, show_contact
        self.name = shown.name
        self._inputs = [
            InputSubscription(node, JointState, f'{prefix}joint_states',
                              lambda m: shown.positions.append(_values(m))),
            InputSubscription(node, JointState, f'{prefix}{DEVIATIONS}',
                              lambda m: shown.deviations.append(_values(m)))]
        self._description = node.create_subscription(
            String, f'{prefix}robot_description', lambda m: shown.describe(m.data),
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._commands = node.create_publisher(JointState, f'{prefix}joint_command', 10)
        self._commanded = False
        self._contacts: dict[str, InputSubscription] = {}

    def listen_to_contacts(self, topics: Collection[str]) -> None:
        """Subscribe to those of some topics that are contacts of this object, to no others.

        The perception node computes contacts only while somebody listens.
        """
        start = f'{self._prefix}contact/'
        wanted = {topic for topic in topics if topic.startswith(start)}
        for topic in self._contacts.keys() - wanted:
            self._contacts.pop(topic).close()
        for topic in wanted - self._contacts.keys():
            self._contacts[topic] = InputSubscription(
                self._node, PoseStamped, topic,
                partial(self._show_contact, topic.removeprefix(start)))

    def command(self, positions: dict[str, float]) -> None:
        """Show the ghost at joint positions (rad or m) in all viewers; {} removes it."""
        self._commanded = bool(positions)
        self._commands.publish(JointState(name=list(positions), position=list(positions.values())))

    def close(self) -> None:
        """Remove the ghost that was commanded here, and unsubscribe."""
        if self._commanded:
            self.command({})
            self._commands.wait_for_all_acked(Duration(seconds=LAST_COMMAND_TIME))
        for subscription in (*self._inputs, *self._contacts.values()):
            subscription.close()
        self._node.destroy_subscription(self._description)
        self._node.destroy_publisher(self._commands)


def _values(state: JointState) -> tuple[int, dict[str, float]]:
    """Stamp (ns) and values by joint."""
    return (nanoseconds_from_time(state.header.stamp),
            dict(zip(state.name, state.position, strict=False)))
