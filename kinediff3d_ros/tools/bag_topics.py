"""Which topics of a recording are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from os.path import commonprefix
from pathlib import Path
from typing import Protocol

from kinediff3d_core.io.files import listed, shortened
from kinediff3d_ros.messages.images import COMPRESSED, depth_topic, is_compressed
from kinediff3d_ros.tools.bag_types import DETECTIONS

TF, STATIC_TF = '/tf', '/tf_static'
"""Topics of transforms."""
IMAGE, COMPRESSED_IMAGE, CAMERA_INFO, POINTS, JOINT_STATE = (
    f'sensor_msgs/msg/{name}' for name in ('Image', 'CompressedImage', 'CameraInfo', 'PointCloud2',
                                           'JointState'))
"""Types of the messages that are read."""
READ_ENCODINGS = ('cdr', 'ros1')
"""Encodings of messages that are read: those of ROS 2 and ROS 1."""
NAMED = 4
"""Most topics that a message names. Chosen."""


class Recorded(Protocol):
    """What an open recording says about its content.

    Attributes:
        path: of the recording.
        topics: message type by topic. encodings: of the messages, by topic.
    """

    path: Path
    topics: dict[str, str]
    encodings: dict[str, str]


@dataclass(frozen=True)
class Topics:
    """Topics that are read: depth with camera_info and perhaps a mask or boxes, or points.

    Attributes:
        depth: raw images, or compressed ones if the name ends with ``/compressedDepth``.
        truth: recorded joint states, drawn beside the estimates.
        mask_camera_info: of the mask's camera; the depth is registered to it by the recorded TF.
        detections: boxes of a detector, in place of the mask.
    """

    depth: str = ''
    camera_info: str = ''
    mask: str = ''
    points: str = ''
    truth: str = ''
    mask_camera_info: str = ''
    detections: str = ''

    @property
    def types(self) -> dict[str, str]:
        """Message type of each topic that has a name."""
        named = {self.depth: COMPRESSED_IMAGE if is_compressed(self.depth) else IMAGE,
                 self.camera_info: CAMERA_INFO, self.mask: IMAGE, self.points: POINTS,
                 self.truth: JOINT_STATE, self.mask_camera_info: CAMERA_INFO,
                 self.detections: DETECTIONS}
        return {topic: kind for topic, kind in named.items() if topic}

    @property
    def marks(self) -> str:
        """The topic of the masks or of the boxes, if there is one."""
        return self.mask or self.detections

    @property
    def geometry(self) -> str:
        """The topic of the depth images, or of the clouds."""
        return self.depth or self.points


def choose_topics(bag: Recorded, wanted: Topics) -> Topics:
    """The wanted topics; for the others, those that are the only ones of their kind in a bag.

    A depth topic may be named without ``/compressedDepth``. Raw images are preferred.

    Raises:
        ValueError: a wanted topic is missing or of another type, or the choice is ambiguous.
    """
    try:
        return _checked(bag, wanted)
    except ValueError as error:
        raise ValueError(f'{shortened(bag.path, 60)}: {error}') from error


def _checked(bag: Recorded, wanted: Topics) -> Topics:
    types = bag.topics
    compressed = depth_topic(wanted.depth, COMPRESSED)
    if wanted.depth and wanted.depth not in types and compressed in types:
        wanted = replace(wanted, depth=compressed)
    _check_wanted(types, wanted)
    chosen = _choose(types, wanted)
    for topic in chosen.types:
        if bag.encodings.get(topic, 'cdr') not in READ_ENCODINGS:
            raise ValueError(f'the messages on {shortened(topic, 60)} are encoded as '
                             f'{shortened(bag.encodings[topic], 30)!r}; need ROS messages (cdr)')
    return chosen


def _choose(types: Mapping[str, str], wanted: Topics) -> Topics:
    def of_type(kind: str) -> list[str]:
        return sorted(t for t, name in types.items() if name == kind)

    states = [t for t in of_type(JOINT_STATE) if 'truth' in t]
    truth = wanted.truth or _if_single(states)
    raw = [t for t in of_type(IMAGE) if 'depth' in t.lower() and t != wanted.mask]
    depths = raw + [t for t in of_type(COMPRESSED_IMAGE)
                    if is_compressed(t) and _without_transport(t) not in raw]
    clouds = of_type(POINTS)
    if wanted.points or (not wanted.depth and not depths and clouds):
        points = wanted.points or _single(types, clouds, 'point cloud', POINTS, '--points-topic')
        return Topics(points=points, truth=truth)
    depth = wanted.depth or _single(types, depths, 'depth image', IMAGE, '--depth-topic')
    infos = [t for t in of_type(CAMERA_INFO) if t != wanted.mask_camera_info]
    info = wanted.camera_info or _single(types, _nearest(depth, infos), 'camera_info',
                                         CAMERA_INFO, '--camera-info-topic')
    masks = [t for t in of_type(IMAGE) if 'mask' in t.rsplit('/', 1)[-1] and t != depth]
    mask = '' if wanted.detections else wanted.mask or _if_single(masks)
    return Topics(depth, info, mask, '', truth, wanted.mask_camera_info, wanted.detections)


def _nearest(topic: str, others: list[str]) -> list[str]:
    """The topics that share the most first tokens with another: all if none shares any."""
    def shared(other: str) -> int:
        return len(commonprefix([_without_transport(topic).split('/'), other.split('/')]))

    most = max(map(shared, others), default=0)
    return [other for other in others if shared(other) == most]


def _without_transport(topic: str) -> str:
    """Topic of the raw depth images of which a topic has compressed ones."""
    return topic.removesuffix(f'/{COMPRESSED}')


def _check_wanted(types: Mapping[str, str], wanted: Topics) -> None:
    for topic, kind in wanted.types.items():
        if topic not in types:
            near = get_close_matches(topic, types, 1, 0.5) or [
                t for t, name in types.items() if name == kind][:1]
            hint = f'did you mean {near[0]}? The recording' if near else 'the recording'
            raise ValueError(f'there is no topic {shortened(topic, 60)}; {hint} has '
                             f'{_named(sorted(types))}')
        if types[topic] != kind:
            fit = sorted(t for t, name in types.items() if name == kind)
            instead = f'; {listed(fit, NAMED)} would fit' if fit else ''
            raise ValueError(f'topic {shortened(topic, 60)} is {shortened(types[topic], 60)}, not '
                             f'{kind}{instead}')


def _named(topics: list[str]) -> str:
    """The first topics of a list in words."""
    more = f' and {len(topics) - NAMED} more' if len(topics) > NAMED else ''
    return (', '.join(shortened(t, 40) for t in topics[:NAMED]) or 'none') + more


def _if_single(topics: list[str]) -> str:
    return topics[0] if len(topics) == 1 else ''


def _single(types: Mapping[str, str], topics: list[str], what: str, kind: str, option: str) -> str:
    """The only topic.

    Raises:
        ValueError: there is none, or several; the message says what could be named.
    """
    if len(topics) > 1:
        raise ValueError(f'there must be one {what}, there are several: {_named(topics)}; name it '
                         f'with {option}')
    if topics:
        return topics[0]
    packed = [t for t, name in types.items() if name == COMPRESSED_IMAGE and 'depth' in t.lower()]
    if kind == IMAGE and packed:
        raise ValueError(f'there is no {what} that is read; {_named(packed)} is compressed in '
                         'another way: play the recording and republish it as raw (ros2 run '
                         'image_transport republish)')
    fit = sorted(t for t, name in types.items() if name == kind)
    if fit:
        raise ValueError(f'there must be one {what}, there is none by name; of this type are '
                         f'{_named(fit)}; name it with {option}')
    raise ValueError(f'there must be one {what} ({kind}), there is none; the recording has '
                     f'{_named(sorted(types))} ({listed(sorted(set(types.values())), 3)})')
