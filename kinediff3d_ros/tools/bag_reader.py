"""Reading frames from a ROS 2 bag, without a running graph.

Bags are rosbag2 recordings in MCAP or sqlite3. Messages are converted by the node's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes.frame_assembly import FrameAssembly
from kinediff3d_ros.nodes.frames import cloud_frame, header_message
from kinediff3d_ros.nodes.transforms import Transforms
from kinediff3d_ros.scene.frames import Frame
from kinediff3d_ros.scene.object_clouds import find_object_clouds
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.tools.bag_topics import STATIC_TF, TF, Topics
from kinediff3d_ros.tools.replay_frames import ReplayFrame

DEFAULTS = PerceptionParameters()
"""Default parameters of the perception node."""

EARLY_IMAGES = 5
"""Images that are kept until the first camera_info comes. Chosen."""

READER_PACKAGES = ('rosbags', 'apsw', 'lz4', 'zstandard', 'ruamel', 'struct')
"""Packages whose exceptions mean that a bag is damaged."""


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """A bag that is open for reading.

    Args:
        path: folder with ``metadata.yaml``, or one ``.mcap`` or ``.db3`` file.

    Raises:
        ValueError: missing, damaged, or not a ROS 2 bag; also from inside the block.
    """
    rosbag2 = import_rosbag2()
    try:
        with rosbag2.Reader(path) as reader:
            yield reader
    except (ValueError, NoEstimate):
        raise
    except OSError as error:
        raise ValueError(f'bag {path} cannot be read: {error.strerror or error}') from error
    except Exception as error:  # the parsers of the storages raise many types
        if not _comes_from_reader(error):
            raise
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'{path} is not a readable ROS 2 bag ({reason})') from error


def _comes_from_reader(error: BaseException) -> bool:
    """Whether the bag library raised an error, not the code that uses the bag."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = '' if trace is None else trace.tb_frame.f_globals.get('__name__', '')
    return module.split('.')[0] in READER_PACKAGES or \
        type(error).__module__.split('.')[0] in ('rosbags', 'apsw', 'ruamel')


def import_rosbag2() -> Any:
    """The module ``rosbags.rosbag2``.

    Raises:
        ValueError: it is not installed.
    """
    try:
        from rosbags import rosbag2
    except ImportError as error:
        raise ValueError('bags are read with rosbags, which is not installed; '
                         'install it with "pip install rosbags"') from error
    return rosbag2


class FrameReader:
    """Reads the frames of a bag in the order of the recording, by the rules of the node.

    Args:
        parameters: of the perception node; they say how the object is found.

    Attributes:
        truth: joint states of ``topics.truth`` that were read so far.
    """

    def __init__(self, topics: Topics, parameters: PerceptionParameters = DEFAULTS) -> None:
        self._topics, self._parameters = topics, parameters
        self._transforms = Transforms()
        self._frames = FrameAssembly(
            parameters.sync_slop, lambda: bool(topics.mask),
            self._transforms if topics.mask_camera_info else None, EARLY_IMAGES)
        self._recorded: dict[int, int] = {}
        self.truth: list[JointState] = []
        self._use: dict[str, Callable[[Any], list[Frame] | None]] = {
            topics.depth: self._frames.add_depth, topics.camera_info: self._frames.add_info,
            topics.mask: self._frames.add_mask, topics.points: lambda m: [cloud_frame(m)],
            topics.truth: self.truth.append,
            topics.mask_camera_info: self._frames.add_mask_info,
            TF: lambda m: self._transforms.add(m.transforms, static=False),
            STATIC_TF: lambda m: self._transforms.add(m.transforms, static=True)}

    def read(self, reader: Any) -> Iterator[ReplayFrame]:
        """The frames of an open bag.

        Raises:
            ValueError: a message cannot be decoded.
        """
        types = dict(self._topics.types)
        if self._topics.mask_camera_info:
            types |= {TF: TFMessage, STATIC_TF: TFMessage}
        connections = [c for c in reader.connections if c.topic in types]
        for connection, recorded, raw in reader.messages(connections=connections):
            message = _decode(raw, types[connection.topic], connection.topic)
            if connection.topic in (self._topics.depth, self._topics.points):
                self._recorded[nanoseconds_from_time(message.header.stamp)] = recorded
            for frame in self._use[connection.topic](message) or ():
                yield self._find_object(frame)
        # The first call notes which images wait for their own camera_info.
        for frame in self._frames.release_late() + self._frames.release_late():
            yield self._find_object(frame)

    def _find_object(self, frame: Frame) -> ReplayFrame:
        """The points that the perception node would use."""
        recorded = self._recorded[frame.header.nanoseconds]
        found: ObjectCloud | Exception
        try:
            found = find_object_clouds(frame, self._parameters).clouds[0]
        except (ValueError, NoEstimate) as reason:
            found = reason
        header = header_message(frame.header)
        if isinstance(found, ObjectCloud):
            return ReplayFrame(header, recorded, found)
        return ReplayFrame(header, recorded, None, str(found))


def _decode(raw: Any, kind: type, topic: str) -> Any:
    try:
        return deserialize_message(bytes(raw), kind)
    except Exception as error:  # rclpy's decoder raises types of its own
        raise ValueError(f'a message on {topic} cannot be decoded '
                         f'({" ".join(str(error).split())})') from error
