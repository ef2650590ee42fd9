"""The topics about the contacts and opening paths of one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from kinediff3d_core.objects.contact import contact_candidates
from kinediff3d_core.objects.contact_tracking import ContactTracker
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages import contacts as messages


class ContactOutput:
    """Publishes what is known about contacts; they are found only while a topic has a subscriber.

    Args:
        create: makes a publisher of a message type and a topic.
        parts: that move.
    """

    def __init__(self, create: Callable[[type, str], Publisher], parts: Sequence[str]) -> None:
        def publishers(kind: type, topic: str) -> dict[str, Publisher]:
            return {part: create(kind, f'{topic}/{part}') for part in parts}

        self._poses = publishers(PoseStamped, 'contact')
        self._candidates = publishers(PoseArray, 'contact_candidates')
        self._handles = publishers(Detection3DArray, 'handles')
        self._paths = publishers(Path, 'opening')
        self._ends = publishers(PoseWithCovarianceStamped, 'opening_end')
        self._tracker = ContactTracker()
        self._wanted = False

    def publish(self, estimate: ArticulatedEstimate, header: Header, shape_changed: bool,
                opening_target: float) -> None:
        """Publish the messages of an estimate in the header's frame.

        Args:
            shape_changed: contacts are found anew; otherwise they move with their parts.
            opening_target: share of the joints' range at which paths end.
        """
        if shape_changed:
            self._tracker.shape_changed()
        single = ((self._poses, messages.contact_poses),
                  (self._candidates, messages.candidate_poses), (self._handles, messages.handles))
        wanted = [pair for pair in single if has_subscriber(pair[0])]
        paths = has_subscriber(self._paths) or has_subscriber(self._ends)
        self._wanted = bool(wanted) or paths
        if not self._wanted:
            return
        found = self._tracker.update(estimate)
        for publishers, make in wanted:
            publish_all(publishers, make(estimate, found, header))
        if paths:
            opening = messages.opening_paths(estimate, found, header, opening_target)
            publish_all(self._paths, {part: o.path for part, o in opening.items()})
            publish_all(self._ends, {part: o.end for part, o in opening.items()})

    def prepare(self, estimate: ArticulatedEstimate) -> None:
        """Find the contacts of an estimate before it is published; on any thread.

        Only if a topic had a subscriber when the last one was published.
        """
        if self._wanted:
            contact_candidates(estimate)

    def clear(self) -> None:
        """Forget the contacts."""
        self._tracker.clear()


def has_subscriber(publishers: Mapping[str, Publisher]) -> bool:
    """Whether any of some publishers has a subscriber."""
    return any(p.get_subscription_count() for p in publishers.values())


def publish_all(publishers: Mapping[str, Publisher], messages: Mapping[str, Any]) -> None:
    """Publish messages by the names of their publishers."""
    for name, message in messages.items():
        publishers[name].publish(message)
