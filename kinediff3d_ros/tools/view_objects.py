"""The objects of a perception node, as they come and go on a view."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from kinediff3d_ros.tools.browser_panel import BrowserPanel
from kinediff3d_ros.tools.object_topics import ObjectTopics, object_prefixes
from kinediff3d_ros.tools.shown_objects import (
    FORGOTTEN,
    ShownObject,
    caption,
    objects_html,
    title,
)


class ViewObjects:
    """Follows the objects of a node's namespace: topics, states, controls of their ghosts.

    Args:
        node: that subscribes.
        show_contact: is called with an object, a part and its contact.
    """

    def __init__(self, node: Node, panel: BrowserPanel,
                 show_contact: Callable[[str, str, PoseStamped], None]) -> None:
        self._node, self._panel, self._show_contact = node, panel, show_contact
        self._shown: dict[str, ShownObject] = {}
        self._topics: dict[str, ObjectTopics] = {}

    def discover(self) -> bool:
        """Subscribe to the topics of new objects, forget those that are gone; whether any are."""
        now, found = time.monotonic(), object_prefixes(self._node)
        gone = self._topics.keys() - found.keys()
        for prefix in gone:
            self._topics.pop(prefix).close()
        for prefix, name in found.items():
            if prefix not in self._topics:
                self._topics[prefix] = ObjectTopics(self._node, prefix, self._object(name),
                                                    partial(self._show_contact, name))
        present = {topics.name for topics in self._topics.values()}
        self._shown = {name: shown for name, shown in self._shown.items()
                       if name in present or now - shown.reported < FORGOTTEN}
        contacts = [] if 'contacts' in self._panel.hidden else [
            topic for topic, types in self._node.get_topic_names_and_types()
            if 'geometry_msgs/msg/PoseStamped' in types and self._node.count_publishers(topic)]
        for topics in self._topics.values():
            topics.listen_to_contacts(contacts)
        return bool(gone)

    def _object(self, name: str) -> ShownObject:
        return self._shown.setdefault(name, ShownObject(name, reported=time.monotonic()))

    def on_diagnostics(self, array: DiagnosticArray) -> None:
        """Take the states of the objects of perception nodes in this namespace."""
        for status in array.status:
            node, _, name = status.name.partition(': ')
            values = {value.key: value.value for value in status.values}
            if node.rpartition('/')[0] == self._node.get_namespace().rstrip('/') and name \
                    and {'state', 'category'} <= values.keys():
                self._object(name).report(values['state'], status.message,
                                          float(values.get('confidence', math.nan)),
                                          time.monotonic(), values['category'])

    def labels(self, frames: Iterable[tuple[str, str]], stamp: int | None) -> dict[str, str]:
        """Label of each of the frames that are given with the names of their objects."""
        return {frame: self._shown[owner].label(frame, stamp)
                for frame, owner in frames if owner in self._shown}

    def update_panel(self, stamp: int | None) -> None:
        """Show the states at a stamp (ns), and publish the commands of the page."""
        now = time.monotonic()
        self._panel.show_states(objects_html(self._shown, stamp, now), title(self._shown, now))
        self._panel.show_ghost_controls({topics.name: self._shown[topics.name]
                                         for topics in self._topics.values()})
        commands = self._panel.commands()
        for topics in self._topics.values():
            if topics.name in commands:
                topics.command(commands[topics.name])

    def caption(self, stamp: int | None) -> str:
        """The joint positions at a stamp (ns), in one line."""
        return caption(self._shown, stamp)

    def are_at(self, stamp: int) -> bool:
        """Whether the newest joint states of all present objects have a stamp (ns)."""
        newest = [self._shown[topics.name].positions for topics in self._topics.values()]
        return bool(newest) and all(states and states[-1][0] == stamp for states in newest)

    def close(self) -> None:
        """Remove the ghosts that were commanded from the page."""
        for topics in self._topics.values():
            topics.close()
        self._topics = {}
