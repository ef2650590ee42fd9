"""The markers of one object: its meshes, its axes, and a ghost at commanded positions."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_ros.messages import markers, planning
from kinediff3d_ros.nodes.output_context import OutputContext


class MarkerOutput:
    """Publishes markers when the shape changes, a viewer joins, or some time has passed.

    In between they move with their TF frames. Viewers remove them when their lifetime has passed.

    Attributes:
        name: namespace of the markers and prefix of their frames.
    """

    def __init__(self, context: OutputContext, name: str) -> None:
        self._context, self.name = context, name
        self._command: JointState | None = None
        self._reset()

    def forget_command(self) -> None:
        """Show no ghost until the next command."""
        self._command = None

    def clear(self) -> None:
        """Delete all markers."""
        self._delete(self._shown)
        self._reset()

    def _reset(self) -> None:
        self._estimate: ArticulatedEstimate | None = None
        self._shown: dict[tuple[str, int], str] = {}
        self._array, self._meshes, self._viewers = MarkerArray(), list[Mesh | None](), 0
        self._due = 0.0

    def show(self, estimate: ArticulatedEstimate, header: Header, shape_changed: bool) -> None:
        """Publish what viewers do not have yet; axes alone if only they have moved."""
        self._estimate = estimate
        viewers = self._context.markers.get_subscription_count()
        meshes = [part.mesh for part in estimate.parts]
        everything = viewers > self._viewers or self._is_due() or meshes != self._meshes
        self._viewers = viewers
        if shape_changed or not self._array.markers:
            self._array = markers.markers(
                estimate, header.stamp, self.name, self._context.parameters().marker_triangles,
                self._context.config.marker_lifetime)
        elif not everything:
            return
        if not everything:
            axes = [m for m in self._array.markers if m.type == Marker.ARROW]
            self._context.markers.publish(MarkerArray(markers=[*axes, *self._ghost()]))
            return
        self._meshes = meshes
        for marker in self._array.markers:
            marker.header.stamp = header.stamp
        self._send_all(header.stamp)

    def refresh(self) -> None:
        """Send all markers again if that is due, also without a new frame."""
        if self._array.markers and self._is_due():
            self._send_all(self._array.markers[0].header.stamp)

    def _is_due(self) -> bool:
        return time.monotonic() >= self._due

    def _send_all(self, stamp: Time) -> None:
        self._due = time.monotonic() + self._context.config.markers_period
        array = MarkerArray(markers=[*self._array.markers, *self._ghost()])
        self._shown = markers.delete_missing_markers(array, self._shown, stamp)
        self._context.markers.publish(array)

    def command(self, command: JointState) -> None:
        """Show the object at commanded positions; a command without names hides it again.

        Raises:
            ValueError: there is no estimate, or the command does not fit its joints.
        """
        if self._estimate is None:
            raise ValueError(f'joint_command came while {self.name} is not estimated')
        planning.commanded_positions(self._estimate, command, self.name)
        self._command = command if command.name else None
        if self._command is None:
            shown = {k: f for k, f in self._shown.items() if k[0] == f'{self.name}/ghost'}
            self._delete(shown)
            self._shown = {k: f for k, f in self._shown.items() if k not in shown}
        elif ghost := self._ghost():
            array = MarkerArray(markers=ghost)
            self._context.markers.publish(array)
            self._shown |= markers.marker_keys(array)

    def _ghost(self) -> list[Marker]:
        if self._command is None or self._estimate is None:
            return []
        meshes = [m for m in self._array.markers if m.type == Marker.TRIANGLE_LIST]
        try:
            positions = planning.commanded_positions(self._estimate, self._command, self.name)
        except ValueError:
            return []  # A newer full estimate has fewer joints.
        return planning.ghost(self._estimate, positions, meshes, self.name)

    def _delete(self, keys: dict[tuple[str, int], str]) -> None:
        if keys:
            self._context.markers.publish(markers.deleted_markers(
                keys, self._context.node.get_clock().now().to_msg()))
