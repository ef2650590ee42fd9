"""Reading frames from a recording, without a running graph and without ROS.

Messages are those of rosbags, which have the fields of ROS messages. They are converted by the
node's own code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_ros.messages.detections import array_header, boxes_from_detections
from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes.frame_assembly import FrameAssembly
from kinediff3d_ros.nodes.frames import BoxMask, cloud_frame
from kinediff3d_ros.scene.detected_objects import DetectedObjects
from kinediff3d_ros.scene.frames import Frame
from kinediff3d_ros.scene.object_clouds import UnmaskedView, find_object_clouds
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.scene.stamps import StampGate
from kinediff3d_ros.tools.bag_storage import Bag
from kinediff3d_ros.tools.bag_topics import STATIC_TF, TF, Topics
from kinediff3d_ros.tools.bag_transforms import RecordedTransforms
from kinediff3d_ros.tools.replay_frames import RecordedPositions, ReplayFrame

DEFAULTS = PerceptionParameters()
"""Default parameters of the perception node."""

EARLY_IMAGES = 5
"""Images that are kept until the first camera_info comes. Chosen."""

UNNAMED_FRAME = 'camera'
"""Frame of the results where no message of a recording has a frame_id."""

STAMP_REASONS = {
    'frames_repeated': 'its stamp is that of the frame before: the stamps do not advance',
    'frames_out_of_order': 'its stamp is older than that of the frame before'}
"""Why a frame is not used, by the refusal of :class:`StampGate`."""


class FrameReader:
    """Reads the frames of a bag in the order of the recording, by the rules of the node.

    Args:
        parameters: of the perception node; they say how the object is found.

    Attributes:
        truth: joint positions of ``topics.truth`` that were read so far.
        notes: lines about boxes that are ignored.
    """

    def __init__(self, topics: Topics, parameters: PerceptionParameters = DEFAULTS) -> None:
        self._topics, self._parameters = topics, parameters
        self._transforms = RecordedTransforms()
        self._frames = FrameAssembly(
            parameters.sync_slop, lambda: bool(topics.marks),
            self._transforms if topics.mask_camera_info else None, EARLY_IMAGES)
        self._recorded: dict[int, int] = {}
        self._gate = StampGate()
        self._read: Counter[str] = Counter()
        self.truth: list[RecordedPositions] = []
        self.notes: list[str] = []
        self._detected = DetectedObjects((parameters.category,), self._note)
        self._use: dict[str, Callable[[Any], list[Frame] | None]] = {
            topics.depth: self._frames.add_depth, topics.camera_info: self._frames.add_info,
            topics.mask: self._frames.add_mask, topics.detections: self._add_detections,
            topics.points: lambda m: [cloud_frame(m)],
            topics.truth: self._add_truth,
            topics.mask_camera_info: self._frames.add_mask_info,
            TF: lambda m: self._transforms.add(m.transforms, static=False),
            STATIC_TF: lambda m: self._transforms.add(m.transforms, static=True)}

    def read(self, bag: Bag) -> Iterator[ReplayFrame]:
        """The frames of an open bag."""
        wanted = set(self._topics.types)
        if self._topics.mask_camera_info:
            wanted |= {TF, STATIC_TF} & set(bag.topics)
        for topic, recorded, message in bag.messages(wanted):
            self._read[topic] += 1
            if topic == self._topics.geometry:
                self._recorded.setdefault(nanoseconds_from_time(message.header.stamp), recorded)
            for frame in self._use[topic](message) or ():
                yield self._find_object(frame)
        # The first call notes which images wait for their own camera_info.
        for frame in self._frames.release_late() + self._frames.release_late():
            yield self._find_object(frame)
        self._frames.discard()

    @property
    def unused(self) -> str:
        """What became of the messages that are in no frame, in words; empty if all are."""
        topics, frames = self._topics, self._frames
        found = []
        if not self._read[topics.geometry]:
            found.append(f'there is no message on {topics.geometry}')
        elif topics.depth and not self._read[topics.camera_info]:
            found.append(f'there is no message on {topics.camera_info}')
        elif topics.marks and not self._read[topics.marks]:
            found.append(f'there is no message on {topics.marks}')
        if frames.uncalibrated:
            found.append(f'{frames.uncalibrated} depth images came before the first camera_info')
        if frames.unpaired:
            what = 'mask' if topics.mask else 'boxes'
            found.append(f'{frames.unpaired} depth images have no {what} within '
                         f'{self._parameters.sync_slop:g} s of their stamp')
        if self._read[topics.geometry] > 1 == len(self._recorded):
            found.append(f'the stamps on {topics.geometry} do not advance: all are '
                         f'{1e-9 * next(iter(self._recorded)):.9f}')
        return '; '.join(found)

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)

    def _add_detections(self, message: Any) -> list[Frame]:
        return self._frames.add_mask(BoxMask(array_header(message), self._detected.select(
            boxes_from_detections(message.detections), self._parameters)))

    def _add_truth(self, message: Any) -> None:
        # Joint states may have names without positions.
        self.truth.append(RecordedPositions(nanoseconds_from_time(message.header.stamp), dict(
            zip(message.name, map(float, message.position), strict=False))))

    def _find_object(self, frame: Frame) -> ReplayFrame:
        """The points, or the image without a mask, that the perception node would use."""
        if not frame.header.frame_id:
            frame = replace(frame, header=replace(frame.header, frame_id=UNNAMED_FRAME))
        header, recorded = frame.header, self._recorded[frame.header.nanoseconds]
        resets = self._gate.resets
        refusal = self._gate.refusal(header.nanoseconds, 0, 0.0, 0.0)
        if refusal is not None:
            return ReplayFrame(header, recorded, None, STAMP_REASONS[refusal])
        found: object
        try:
            found = find_object_clouds(frame, self._parameters).clouds[0]
        except (ValueError, NoEstimate) as reason:
            found = reason
        restarts = self._gate.resets > resets
        if isinstance(found, (ObjectCloud, UnmaskedView)):
            return ReplayFrame(header, recorded, found, restarts=restarts)
        return ReplayFrame(header, recorded, None, str(found), restarts)
