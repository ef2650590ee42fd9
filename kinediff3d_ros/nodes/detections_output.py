"""The topic ``detections``: all objects of a frame as one array."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rclpy.publisher import Publisher
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray

from kinediff3d_ros.messages.headers import nanoseconds_from_time


class DetectionsOutput:
    """Publishes one array a frame, once all of its objects are known. Its caller holds a lock.

    An object whose full estimate takes longer than the frame joins the objects of the last array.
    An object that is withdrawn leaves them, also the last one: the array is empty then.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._newest: dict[str, Detection3D] = {}
        self._unpublished: set[int] = set()
        self._shown: set[str] = set()
        self._header = Header()

    def add(self, name: str, make: Callable[[], Detection3D]) -> None:
        """Add an object to the array of its frame, if there is a subscriber."""
        if not self._publisher.get_subscription_count():
            self._newest.clear()
            self._unpublished.clear()
            self._shown.clear()
            return
        self._newest[name] = detection = make()
        self._unpublished.add(_stamp(detection))

    def end_frame(self, stamp: int, late: bool) -> None:
        """Publish the array of a frame, if an object was added to it.

        Args:
            stamp: of the frame, ns.
            late: the objects of the last array are in it, too.
        """
        if stamp not in self._unpublished:
            return
        self._unpublished.discard(stamp)
        names = [name for name, detection in self._newest.items()
                 if _stamp(detection) == stamp or (late and name in self._shown)]
        if not names:
            return
        self._header = max((self._newest[name].header for name in names),
                           key=lambda header: nanoseconds_from_time(header.stamp))
        self._publish(names)

    def remove(self, name: str) -> None:
        """Withdraw an object; the array of the others follows if the last one had it."""
        self._newest.pop(name, None)
        if name in self._shown:
            self._publish([other for other in self._newest if other in self._shown])

    def _publish(self, names: Collection[str]) -> None:
        self._shown = set(names)
        self._publisher.publish(Detection3DArray(
            header=self._header, detections=[self._newest[name] for name in names]))


def _stamp(detection: Detection3D) -> int:
    return nanoseconds_from_time(detection.header.stamp)
