"""The topics for planners of one object: part poses, joint axes, contacts and opening paths."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages import planning
from kinediff3d_ros.nodes.contact_output import ContactOutput, has_subscriber, publish_all


class PlanningOutput:
    """Publishes ``pose/``, ``axis/``, ``axis_with_covariance/``, contacts and opening paths.

    Each only with a subscriber.

    Args:
        create: makes a publisher of a message type and a topic.
    """

    def __init__(self, create: Callable[[type, str], Publisher], category: Category) -> None:
        joints = [j.name for j in category.joints]
        self._poses = {p: create(PoseWithCovarianceStamped, f'pose/{p}') for p in category.parts}
        self._axes = {j: create(PoseStamped, f'axis/{j}') for j in joints}
        self._uncertain_axes = {j: create(PoseWithCovarianceStamped, f'axis_with_covariance/{j}')
                                for j in joints}
        self._contacts = ContactOutput(create, [category.parts[j.child] for j in category.joints])

    def publish(self, estimate: ArticulatedEstimate, header: Header, shape_changed: bool,
                opening_target: float) -> None:
        """Publish the messages of an estimate in the header's frame.

        Args:
            shape_changed: contacts are found anew; otherwise they move with their parts.
            opening_target: share of the joints' range at which opening paths end.
        """
        for publishers, make in ((self._poses, planning.part_poses),
                                 (self._axes, planning.joint_axes),
                                 (self._uncertain_axes, planning.joint_axes_with_covariance)):
            if has_subscriber(publishers):
                publish_all(publishers, make(estimate, header))
        self._contacts.publish(estimate, header, shape_changed, opening_target)

    def prepare(self, estimate: ArticulatedEstimate) -> None:
        """Compute what takes long before it is published; on any thread."""
        self._contacts.prepare(estimate)

    def clear(self) -> None:
        """Forget the contacts."""
        self._contacts.clear()
