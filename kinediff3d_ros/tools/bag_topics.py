"""Which topics of a bag are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState, PointCloud2

from kinediff3d_ros.messages.images import COMPRESSED, depth_topic, depth_type

TF, STATIC_TF = '/tf', '/tf_static'
"""Topics of transforms."""


@dataclass(frozen=True)
class Topics:
    """Topics that are read: depth with camera_info and perhaps a mask, or points.

    Attributes:
        depth: raw images, or compressed ones if the name ends with ``/compressedDepth``.
        truth: recorded joint states, drawn beside the estimates.
        mask_camera_info: of the mask's camera; the depth is registered to it by the recorded TF.
    """

    depth: str = ''
    camera_info: str = ''
    mask: str = ''
    points: str = ''
    truth: str = ''
    mask_camera_info: str = ''

    @property
    def types(self) -> dict[str, type]:
        """Message type of each topic that has a name."""
        named = {self.depth: depth_type(self.depth), self.camera_info: CameraInfo,
                 self.mask: Image, self.points: PointCloud2, self.truth: JointState,
                 self.mask_camera_info: CameraInfo}
        return {topic: kind for topic, kind in named.items() if topic}


def choose_topics(reader: Any, wanted: Topics) -> Topics:
    """The wanted topics; for the others, those that are the only ones of their kind in a bag.

    A depth topic may be named without ``/compressedDepth``. Raw images are preferred.

    Raises:
        ValueError: a wanted topic is missing or of another type, or the choice is ambiguous.
    """
    types = {c.topic: c.msgtype for c in reader.connections}
    compressed = depth_topic(wanted.depth, COMPRESSED)
    if wanted.depth and wanted.depth not in types and compressed in types:
        wanted = replace(wanted, depth=compressed)
    _check_wanted(types, wanted)

    def of_type(kind: type) -> list[str]:
        return sorted(t for t, name in types.items() if name == _type_name(kind))

    states = [t for t in of_type(JointState) if 'truth' in t]
    truth = wanted.truth or _if_single(states)
    raw = [t for t in of_type(Image) if 'depth' in t and t != wanted.mask]
    depths = raw + [t for t in of_type(CompressedImage)
                    if depth_type(t) is CompressedImage and _without_transport(t) not in raw]
    clouds = of_type(PointCloud2)
    if wanted.points or (not wanted.depth and not depths and clouds):
        points = wanted.points or _single(clouds, 'point cloud', '--points-topic')
        return Topics(points=points, truth=truth)
    depth = wanted.depth or _single(depths, 'depth image', '--depth-topic')
    infos = [t for t in of_type(CameraInfo) if t != wanted.mask_camera_info]
    info = _without_transport(depth).rsplit('/', 1)[0] + '/camera_info'
    if wanted.camera_info or info not in infos:
        info = wanted.camera_info or _single(infos, 'camera_info', '--camera-info-topic')
    masks = [t for t in of_type(Image) if 'mask' in t.rsplit('/', 1)[-1]]
    return Topics(depth, info, wanted.mask or _if_single(masks), '', truth,
                  wanted.mask_camera_info)


def _without_transport(topic: str) -> str:
    """Topic of the raw depth images of which a topic has compressed ones."""
    return topic.removesuffix(f'/{COMPRESSED}')


def _check_wanted(types: dict[str, str], wanted: Topics) -> None:
    for topic, kind in wanted.types.items():
        if topic not in types:
            raise ValueError(f'the bag has no topic {topic}; it has '
                             f'{", ".join(sorted(types)) or "none"}')
        if types[topic] != _type_name(kind):
            raise ValueError(f'topic {topic} is {types[topic]}, not {_type_name(kind)}')


def _type_name(kind: type) -> str:
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def _if_single(topics: list[str]) -> str:
    return topics[0] if len(topics) == 1 else ''


def _single(topics: list[str], what: str, option: str) -> str:
    if len(topics) != 1:
        found = f'several: {", ".join(topics)}' if topics else 'none'
        raise ValueError(f'the bag must have one {what}, it has {found}; name it with {option}')
    return topics[0]
