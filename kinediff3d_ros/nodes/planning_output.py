"""The topics for planners of one object: part poses, joint axes and contact frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages import planning


class PlanningOutput:
    """Publishes ``pose/``, ``axis/`` and ``contact/``, each only with a subscriber.

    Args:
        create: makes a publisher of a message type and a topic.
    """

    def __init__(self, create: Callable[[type, str], Publisher], category: Category) -> None:
        self._poses = {p: create(PoseWithCovarianceStamped, f'pose/{p}') for p in category.parts}
        self._axes = {j.name: create(PoseStamped, f'axis/{j.name}') for j in category.joints}
        children = (category.parts[j.child] for j in category.joints)
        self._contact_poses = {p: create(PoseStamped, f'contact/{p}') for p in children}
        self._contacts: dict[str, np.ndarray] | None = None

    def publish(self, estimate: ArticulatedEstimate, header: Header, shape_changed: bool) -> None:
        """Publish the messages of an estimate in the header's frame.

        Args:
            shape_changed: contact frames are found anew; otherwise they move with their parts.
        """
        if shape_changed:
            self._contacts = None
        _publish(self._poses, lambda: planning.part_poses(estimate, header))
        _publish(self._axes, lambda: planning.joint_axes(estimate, header))
        _publish(self._contact_poses, lambda: planning.contact_poses(
            estimate, self._contacts_of(estimate), header))

    def clear(self) -> None:
        """Forget the contact frames."""
        self._contacts = None

    def _contacts_of(self, estimate: ArticulatedEstimate) -> dict[str, np.ndarray]:
        if self._contacts is None:
            self._contacts = {c.part: c.T_part_contact for c in contacts(estimate)}
        return self._contacts


def _publish(publishers: Mapping[str, Publisher], make: Callable[[], Mapping[str, Any]]) -> None:
    """Make and publish messages by name, if any of the publishers has a subscriber."""
    if any(p.get_subscription_count() for p in publishers.values()):
        for name, message in make().items():
            publishers[name].publish(message)
