"""Reading frames from a ROS 2 bag, without a running graph.

Bags are rosbag2 recordings in MCAP or sqlite3. Messages are converted by the node's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes.frames import cloud_frame, depth_frame, header_message
from kinediff3d_ros.scene.frames import Frame
from kinediff3d_ros.scene.object_clouds import find_object_clouds
from kinediff3d_ros.scene.pairing import StampPairing
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.tools.replay_frames import ReplayFrame

DEFAULTS = PerceptionParameters()
"""Default parameters of the perception node."""

EARLY_IMAGES = 5
"""Images that are kept until the first camera_info comes. Chosen."""

READER_PACKAGES = ('rosbags', 'apsw', 'lz4', 'zstandard', 'ruamel', 'struct')
"""Packages whose exceptions mean that a bag is damaged."""

MESSAGE_TYPES = {'depth': Image, 'camera_info': CameraInfo, 'mask': Image, 'points': PointCloud2,
                 'truth': JointState}
"""Message type of each field of :class:`Topics`."""


@dataclass(frozen=True)
class Topics:
    """Topics that are read: depth with camera_info and perhaps a mask, or points.

    Attributes:
        truth: recorded joint states, drawn beside the estimates.
    """

    depth: str = ''
    camera_info: str = ''
    mask: str = ''
    points: str = ''
    truth: str = ''

    @property
    def types(self) -> dict[str, type]:
        """Message type of each topic that has a name."""
        return {getattr(self, field): kind for field, kind in MESSAGE_TYPES.items()
                if getattr(self, field)}


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


def choose_topics(reader: Any, wanted: Topics) -> Topics:
    """The wanted topics; for the others, those that are the only ones of their kind in a bag.

    Raises:
        ValueError: a wanted topic is missing or of another type, or the choice is ambiguous.
    """
    types = {c.topic: c.msgtype for c in reader.connections}
    _check_wanted(types, wanted)

    def of_type(kind: type) -> list[str]:
        return sorted(t for t, name in types.items() if name == _type_name(kind))

    states = [t for t in of_type(JointState) if 'truth' in t]
    truth = wanted.truth or _if_single(states)
    depths = [t for t in of_type(Image) if 'depth' in t and t != wanted.mask]
    clouds = of_type(PointCloud2)
    if wanted.points or (not wanted.depth and not depths and clouds):
        points = wanted.points or _single(clouds, 'point cloud', '--points-topic')
        return Topics(points=points, truth=truth)
    depth = wanted.depth or _single(depths, 'depth image', '--depth-topic')
    info, infos = depth.rsplit('/', 1)[0] + '/camera_info', of_type(CameraInfo)
    if wanted.camera_info or info not in infos:
        info = wanted.camera_info or _single(infos, 'camera_info', '--camera-info-topic')
    masks = [t for t in of_type(Image) if 'mask' in t.rsplit('/', 1)[-1]]
    return Topics(depth, info, wanted.mask or _if_single(masks), '', truth)


def _check_wanted(types: dict[str, str], wanted: Topics) -> None:
    for topic, kind in wanted.types.items():
        if topic not in types:
            raise ValueError(f'the bag has no topic {topic}; it has '
                             f'{", ".join(sorted(types)) or "none"}')
        if types[topic] != _type_name(kind):
            raise ValueError(f'topic {topic} is {types[topic]}, not {_type_name(kind)}')


def _type_name(kind: type) -> str:
    return f'sensor_msgs/msg/{kind.__name__}'


def _if_single(topics: list[str]) -> str:
    return topics[0] if len(topics) == 1 else ''


def _single(topics: list[str], what: str, option: str) -> str:
    if len(topics) != 1:
        found = f'several: {", ".join(topics)}' if topics else 'none'
        raise ValueError(f'the bag must have one {what}, it has {found}; name it with {option}')
    return topics[0]


class FrameReader:
    """Reads the frames of a bag in the order of the recording.

    A mask belongs to the depth image with the nearest stamp, within ``sync_slop``.

    Args:
        parameters: of the perception node; they say how the object is found.

    Attributes:
        truth: joint states of ``topics.truth`` that were read so far.
    """

    def __init__(self, topics: Topics, parameters: PerceptionParameters = DEFAULTS) -> None:
        self._topics, self._parameters = topics, parameters
        self._info: CameraInfo | None = None
        self._early: list[tuple[int, Image]] = []
        self._pairing: StampPairing[tuple[int, Image, CameraInfo], Image] = StampPairing(
            int(parameters.sync_slop * 1e9))
        self.truth: list[JointState] = []

    def read(self, reader: Any) -> Iterator[ReplayFrame]:
        """The frames of an open bag.

        Raises:
            ValueError: a message cannot be decoded.
        """
        types = self._topics.types
        connections = [c for c in reader.connections if c.topic in types]
        for connection, recorded, raw in reader.messages(connections=connections):
            message = _decode(raw, types[connection.topic], connection.topic)
            for frame_recorded, frame in self._add(connection.topic, recorded, message):
                yield self._find_object(frame_recorded, frame)

    def _add(self, topic: str, recorded: int, message: Any,
             ) -> Iterator[tuple[int, Frame]]:
        """The frames that a message completes, with the time of their recording, ns."""
        if topic == self._topics.truth:
            self.truth.append(message)
        elif topic == self._topics.points:
            yield recorded, cloud_frame(message)
        elif topic == self._topics.mask:
            yield from self._complete(
                self._pairing.add_second(nanoseconds_from_time(message.header.stamp), message))
        elif topic == self._topics.camera_info:
            self._info = message
            images, self._early = self._early, []
            for image in images:
                yield from self._add_image(*image)
        elif self._info is None:
            self._early = [*self._early, (recorded, message)][-EARLY_IMAGES:]
        else:
            yield from self._add_image(recorded, message)

    def _add_image(self, recorded: int, image: Image) -> Iterator[tuple[int, Frame]]:
        if self._topics.mask:
            yield from self._complete(self._pairing.add_first(
                nanoseconds_from_time(image.header.stamp), (recorded, image, self._info)))
        else:
            yield recorded, depth_frame(image, self._info)

    def _complete(self, pair: tuple[tuple[int, Image, CameraInfo], Image] | None,
                  ) -> Iterator[tuple[int, Frame]]:
        if pair is not None:
            (recorded, image, info), mask = pair
            yield recorded, depth_frame(image, info, mask)

    def _find_object(self, recorded: int, frame: Frame) -> ReplayFrame:
        """The points that the perception node would use."""
        found: ObjectCloud | Exception
        try:
            found = find_object_clouds(frame, self._parameters).clouds[0]
        except ValueError as reason:
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
