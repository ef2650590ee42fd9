"""What a view listens to, what has come, and what is missing, for a page with nothing to show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.utilities import get_rmw_implementation_identifier

from kinediff3d_ros.nodes.endpoints import InputSubscription

MARKERS_TYPE = 'visualization_msgs/msg/MarkerArray'
MISSING, PRESENT = '#c92a2a', '#2b8a3e'
"""Colours of what is missing and of what is there."""


@dataclass
class Listened:
    """A topic that is listened to.

    Attributes:
        topic: resolved name.
        kind: type of its messages.
        messages: number of those that have come.
        subscription: None before there is one.
    """

    topic: str
    kind: type
    messages: int = 0
    subscription: InputSubscription | None = None

    @property
    def type_name(self) -> str:
        """As in ``sensor_msgs/msg/PointCloud2``."""
        return f'{self.kind.__module__.partition(".")[0]}/msg/{self.kind.__name__}'


def graph_in_words(node: Node) -> str:
    """ROS domain, range of discovery, middleware and namespace of a node, in one line."""
    reach = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    if os.environ.get('ROS_LOCALHOST_ONLY') == '1':
        reach = 'LOCALHOST'
    return (f'ROS domain {node.context.get_domain_id()}, discovery range {reach}, '
            f'{get_rmw_implementation_identifier()}, namespace {node.get_namespace()}')


def what_is_missing(listened: Listened, publishers: Sequence[TopicEndpointInfo]) -> str:
    """Why nothing comes on a topic; '' if something does."""
    if not publishers:
        return 'no publisher' + (' any more' if listened.messages else '')
    if listened.messages:
        return ''
    kinds = {p.topic_type for p in publishers}
    if listened.type_name not in kinds:
        return f'its type is {", ".join(sorted(kinds))}, not {listened.type_name}'
    for publisher in publishers if listened.subscription else ():
        verdict, reason = qos_check_compatible(publisher.qos_profile,
                                               listened.subscription.qos_profile)
        if verdict == QoSCompatibility.ERROR:
            return (f'the quality of service of {publisher.node_name} does not fit: '
                    f'{reason.strip().rstrip(";")}')
    return f'{_publishers(len(publishers))}, but no message yet'


def connections_html(node: Node, listened: Sequence[Listened], unknown: str) -> str:
    """A table of the topics that a node listens to, and what is missing.

    Args:
        unknown: what is said about poses that are not known, or ''.
    """
    rows = []
    for topic in listened:
        publishers = node.get_publishers_info_by_topic(topic.topic)
        missing = what_is_missing(topic, publishers)
        said = escape(missing) if missing else \
            f'{_publishers(len(publishers))}, {topic.messages} messages'
        rows.append(f'<tr><td style="vertical-align:top;padding-right:0.7em">'
                    f'<code>{escape(topic.topic)}</code></td>'
                    f'<td style="color:{MISSING if missing else PRESENT}">{said}</td></tr>')
    advice = '<br>'.join(escape(text) for text in (unknown, _hint(node)) if text)
    return ('<div style="padding:0.2em 1em;font-size:0.9em"><b>Nothing to show</b><br>'
            f'This page listens in {escape(graph_in_words(node))}.'
            f'<table>{"".join(rows)}</table>{advice}</div>')


def _hint(node: Node) -> str:
    """What to do if perception nodes are in other namespaces, or in none."""
    own = node.resolve_topic_name('markers')
    others = sorted(
        topic.removesuffix('/markers') or '/' for topic, kinds in node.get_topic_names_and_types()
        if topic.endswith('/markers') and topic != own and MARKERS_TYPE in kinds
        and node.count_publishers(topic))
    if node.count_publishers(own):
        return ''
    if others:
        return f'There are markers in {", ".join(others)}: use --namespace {others[0]}.'
    return ('Is perception_node running, with the same ROS_DOMAIN_ID and the same '
            'ROS_AUTOMATIC_DISCOVERY_RANGE?')


def _publishers(count: int) -> str:
    return f'{count} publisher' + ('' if count == 1 else 's')
