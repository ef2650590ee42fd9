"""A recording through the pipeline, offline: every frame, in order, as fast as it goes.

Bags are read and written without a running graph (rosbag2 in MCAP or sqlite3, through rosbags);
messages are converted by the code that the node uses.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker
from kinediff3d_ros.messages import markers, poses
from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes import frames as node_frames
from kinediff3d_ros.scene.frames import Frame as InputFrame
from kinediff3d_ros.scene.object_clouds import find_object_clouds
from kinediff3d_ros.scene.pairing import StampPairing
from kinediff3d_ros.scene.parameters import PerceptionParameters

TYPES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CameraInfo': CameraInfo,
         'sensor_msgs/msg/PointCloud2': PointCloud2, 'sensor_msgs/msg/JointState': JointState}
DEFAULTS = PerceptionParameters()
"""The node's parameters, as they are where nobody changes them."""


@dataclass(frozen=True)
class Topics:
    """What is taken from a bag: a depth image with its camera_info and perhaps a mask, or a cloud.

    Attributes:
        truth: joint states that were recorded, drawn beside the estimates; '' if there are none.
    """

    depth: str = ''
    camera_info: str = ''
    mask: str = ''
    points: str = ''
    truth: str = ''


@dataclass(frozen=True)
class Frame:
    """One view: the object's ``cloud``, or ``reason`` why there is none."""

    header: Header
    recorded: int
    cloud: ObjectCloud | None
    reason: str = ''

    @property
    def seconds(self) -> float:
        return seconds_of(self.header)


@dataclass(frozen=True)
class Record:
    """What became of one frame.

    Attributes:
        kind, estimate, reason: as in
            :class:`kinediff3d_core.tracking.sequence_tracker.TrackedFrame`.
        milliseconds: that it took.
    """

    frame: Frame
    kind: str
    estimate: ArticulatedEstimate | None
    reason: str
    milliseconds: float

    def to_dict(self) -> dict[str, Any]:
        stamp = self.frame.header.stamp
        return {'stamp': {'sec': stamp.sec, 'nanosec': stamp.nanosec},
                'frame_id': self.frame.header.frame_id, 'kind': self.kind,
                'reason': self.reason, 'milliseconds': round(self.milliseconds, 3),
                'estimate': None if self.estimate is None else self.estimate.to_dict()}


def seconds_of(message: Any) -> float:
    """Stamp of a header, s."""
    return float(message.stamp.sec + 1e-9 * message.stamp.nanosec)


# --- reading ------------------------------------------------------------------------------------

@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """A bag that is open for reading.

    Args:
        path: folder with ``metadata.yaml``, or one ``.mcap`` or ``.db3`` file.

    Raises:
        ValueError: missing, damaged, or no ROS 2 bag; from inside the block, too.
    """
    rosbags = _rosbags()
    try:
        with rosbags.Reader(path) as reader:
            yield reader
    except (ValueError, NoEstimate):
        raise
    except OSError as error:
        raise ValueError(f'bag {path} cannot be read: {error.strerror or error}') from error
    except Exception as error:  # what the storage's parser stumbles over has many types
        if not _of_the_reader(error):
            raise
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'{path} is not a readable ROS 2 bag ({reason})') from error


def _of_the_reader(error: BaseException) -> bool:
    """Whether an error comes out of the bag library, not out of what is done with the bag."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    home = '' if trace is None else trace.tb_frame.f_globals.get('__name__', '')
    library = home.split('.')[0] in ('rosbags', 'apsw', 'lz4', 'zstandard', 'ruamel', 'struct')
    return library or type(error).__module__.split('.')[0] in ('rosbags', 'apsw', 'ruamel')


def _rosbags() -> Any:
    try:
        from rosbags import rosbag2
    except ImportError as error:
        raise ValueError('bags are read with rosbags, which is not installed; '
                         'install it with "pip install rosbags"') from error
    return rosbag2


def choose_topics(reader: Any, wanted: Topics) -> Topics:
    """What to take from a bag: what is wanted, and for the rest what there is only one of.

    Raises:
        ValueError: a wanted topic is not there or of another type, or the choice is not clear.
    """
    there = {c.topic: c.msgtype for c in reader.connections}
    for name, kind in (('depth', 'Image'), ('camera_info', 'CameraInfo'), ('mask', 'Image'),
                       ('points', 'PointCloud2'), ('truth', 'JointState')):
        topic = getattr(wanted, name)
        if topic and topic not in there:
            raise ValueError(f'the bag has no topic {topic}; it has '
                             f'{", ".join(sorted(there)) or "none"}')
        if topic and there[topic] != f'sensor_msgs/msg/{kind}':
            raise ValueError(f'topic {topic} is {there[topic]}, not sensor_msgs/msg/{kind}')

    def of(kind: str) -> list[str]:
        return sorted(t for t, k in there.items() if k == f'sensor_msgs/msg/{kind}')

    states = [t for t in of('JointState') if 'truth' in t]
    chosen = replace(wanted, truth=wanted.truth or (states[0] if len(states) == 1 else ''))
    depths = [t for t in of('Image') if 'depth' in t and t != wanted.mask]
    if wanted.points or (not wanted.depth and not depths and of('PointCloud2')):
        return replace(chosen, depth='', camera_info='', mask='', points=wanted.points or _only(
            of('PointCloud2'), 'point cloud', '--points-topic'))
    depth = wanted.depth or _only(depths, 'depth image', '--depth-topic')
    beside = depth.rsplit('/', 1)[0] + '/camera_info'
    infos = of('CameraInfo')
    info = wanted.camera_info or (beside if beside in infos else _only(
        infos, 'camera_info', '--camera-info-topic'))
    masks = [t for t in of('Image') if 'mask' in t.rsplit('/', 1)[-1]]
    mask = wanted.mask or (masks[0] if len(masks) == 1 else '')
    return replace(chosen, depth=depth, camera_info=info, mask=mask)


def _only(found: list[str], what: str, option: str) -> str:
    if len(found) != 1:
        told = f'several: {", ".join(found)}' if found else 'none'
        raise ValueError(f'the bag must have one {what}, it has {told}; name it with {option}')
    return found[0]


def frames(reader: Any, topics: Topics, segment_points: bool = False,
           truth: list[JointState] | None = None, mask_id: int = 0) -> Iterator[Frame]:
    """Views of a bag in the order of their recording; a mask is that of the nearest stamp.

    Args:
        segment_points: clouds are of the whole scene; without, of the object alone.
        truth: takes the joint states of ``topics.truth``.
        mask_id: value of the object in the mask; 0 takes every pixel that is not zero.

    Raises:
        ValueError: messages that cannot be decoded.
    """
    wanted = {t for t in (topics.depth, topics.camera_info, topics.mask, topics.points,
                          topics.truth) if t}
    chosen = [c for c in reader.connections if c.topic in wanted]
    parameters = replace(DEFAULTS, segment_points=segment_points, mask_id=mask_id)
    pairing: StampPairing[tuple[int, Image, CameraInfo], Image] = StampPairing(
        int(DEFAULTS.sync_slop * 1e9))
    info: CameraInfo | None = None
    early: list[tuple[int, Image]] = []
    for connection, recorded, raw in reader.messages(connections=chosen):
        try:
            message = deserialize_message(bytes(raw), TYPES[connection.msgtype])
        except Exception as error:  # rclpy's decoder raises types of its own
            raise ValueError(f'a message on {connection.topic} cannot be decoded '
                             f'({" ".join(str(error).split())})') from error
        if connection.topic == topics.truth:
            if truth is not None:
                truth.append(message)
            continue
        if connection.topic == topics.points:
            yield _frame(recorded, node_frames.cloud_frame(message), parameters)
            continue
        pair: tuple[tuple[int, Image, CameraInfo], Image] | None = None
        images: list[tuple[int, Image]] = []
        if connection.topic == topics.camera_info:
            info = message
            images, early = early, []
        elif connection.topic == topics.mask:
            pair = pairing.add_second(nanoseconds_from_time(message.header.stamp), message)
        elif info is None:
            early = [*early[-4:], (recorded, message)]
        else:
            images = [(recorded, message)]
        for time_recorded, image in images:
            assert info is not None
            if not topics.mask:
                yield _frame(time_recorded, node_frames.depth_frame(image, info), parameters)
            else:
                pair = pairing.add_first(nanoseconds_from_time(image.header.stamp),
                                         (time_recorded, image, info))
        if pair is not None:
            time_recorded, image, beside = pair[0]
            yield _frame(time_recorded, node_frames.depth_frame(image, beside, pair[1]),
                         parameters)


def _frame(recorded: int, input_: InputFrame, parameters: PerceptionParameters,
           ) -> Frame:
    """What the node would see in it."""
    found: ObjectCloud | Exception
    try:
        found = find_object_clouds(input_, parameters).clouds[0]
    except ValueError as reason:
        found = reason
    header = node_frames.header_message(input_.header)
    if isinstance(found, ObjectCloud):
        return Frame(header, recorded, found)
    return Frame(header, recorded, None, str(found))


# --- writing ------------------------------------------------------------------------------------

class OutputBag:
    """A new bag with what the node would have published: /tf, joint_states and markers.

    Raises:
        ValueError: the folder is there already.
    """

    def __init__(self, path: Path, storage: str, object_name: str) -> None:
        rosbag2 = _rosbags()
        from rosbags.typesys import Stores, get_typestore

        store = get_typestore(Stores.ROS2_JAZZY)
        try:
            self._writer = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[
                storage.upper()])
            self._writer.open()
        except rosbag2.WriterError as error:
            raise ValueError(str(error)) from error
        self._name = object_name
        self._shown: dict[tuple[str, int], str] = {}
        self._topics = {topic: self._writer.add_connection(topic, kind, typestore=store)
                        for topic, kind in (('/tf', 'tf2_msgs/msg/TFMessage'),
                                            ('/joint_states', 'sensor_msgs/msg/JointState'),
                                            ('/markers', 'visualization_msgs/msg/MarkerArray'))}

    def add(self, record: Record) -> None:
        """Write one frame's messages at the time at which the frame was recorded."""
        header, at = record.frame.header, record.frame.recorded
        array = MarkerArray()
        if record.estimate is not None:
            self._write('/tf', at, TFMessage(transforms=poses.transforms(
                record.estimate, header, self._name)))
            self._write('/joint_states', at, poses.joint_state(record.estimate, header))
            array = markers.markers(record.estimate, header.stamp, self._name,
                                        DEFAULTS.marker_triangles)
        self._shown = markers.delete_missing_markers(array, self._shown, header.stamp)
        if array.markers:
            self._write('/markers', at, array)

    def _write(self, topic: str, at: int, message: Any) -> None:
        self._writer.write(self._topics[topic], at, serialize_message(message))

    def close(self) -> None:
        self._writer.close()


def draw_timeline(records: list[Record], truth: list[JointState], out: Path, title: str) -> Path:
    """Write joint positions, residual and time a frame over the recording's time as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    start = records[0].frame.seconds
    seen = [r for r in records if r.estimate is not None]
    joints: dict[str, str] = {}
    for r in seen:
        assert r.estimate is not None
        joints.update({j.name: j.joint_type for j in r.estimate.joints})
    figure = Figure(figsize=(9, 1.2 + 1.8 * (len(joints) + 2)), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(joints) + 2, 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, kind) in zip(axes, joints.items(), strict=False):
        unit, factor = ('mm', 1e3) if kind == 'prismatic' else ('°', 180 / np.pi)
        known = [(seconds_of(m.header) - start, factor * q) for m in truth
                 for n, q in zip(m.name, m.position, strict=True) if n == name]
        if known:
            ax.plot(*zip(*known, strict=True), color='0.6', lw=1.2, label='recorded')
        for which, colour in (('full', 'tab:orange'), ('tracked', 'tab:blue')):
            rows = [(r.frame.seconds - start, factor * j.position, factor * j.std) for r in seen
                    if r.kind == which and r.estimate is not None
                    for j in r.estimate.joints if j.name == name]
            if rows:
                t, q, s = zip(*rows, strict=True)
                ax.errorbar(t, q, s, fmt='.', color=colour, ms=4, lw=0.8, label=which)
        ax.set_ylabel(f'{name}, {unit}', fontsize=8)
        ax.legend(fontsize=7, loc='upper right')
    times = [r.frame.seconds - start for r in records]
    axes[-2].plot([r.frame.seconds - start for r in seen],
                  [1e3 * r.estimate.residual for r in seen if r.estimate is not None], '.-',
                  color='tab:green', ms=4, lw=0.8)
    axes[-2].set_ylabel('residual, mm', fontsize=8)
    axes[-1].plot(times, [r.milliseconds for r in records], '.', color='0.4', ms=4)
    axes[-1].set_yscale('log')
    axes[-1].set_ylabel('time a frame, ms', fontsize=8)
    axes[-1].set_xlabel('s', fontsize=8)
    for ax in axes:
        ax.grid(alpha=0.3)
        ax.tick_params(labelsize=7)
        for t, r in zip(times, records, strict=True):
            if r.kind == 'none':
                ax.axvline(t, color='tab:red', lw=0.6, alpha=0.4)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    canvas.print_png(str(out))  # type: ignore[no-untyped-call]
    return out


def replay(bag: Path, out: Path, pipeline: Pipeline, wanted: Topics, *, tracking: bool = True,
           mesh: bool = False, output_bag: str = '', segment_points: bool = False, every: int = 1,
           limit: int = 0, seed: int = 0, mask_id: int = 0,
           progress: Callable[[Record], None] | None = None) -> list[Record]:
    """Run a recording through the pipeline.

    Writes ``estimates.jsonl`` (one line a frame), ``timeline.png`` and, if ``output_bag`` names a
    storage (``mcap`` or ``sqlite3``), the bag ``output`` with TF, joint states and, with ``mesh``,
    part meshes among the markers.

    Args:
        wanted: topics by name; empty ones are chosen.
        every: take every n-th frame.
        limit: stop after so many frames; 0 takes all.
        mask_id: value of the object in the mask; 0 takes every pixel that is not zero.

    Raises:
        ValueError: the bag cannot be read, has no usable topics or no frame.
    """
    with open_bag(bag) as reader:
        topics = choose_topics(reader, wanted)
        if output_bag and (out / 'output').exists():
            raise ValueError(f'{out / "output"} is there already; choose another --out')
        out.mkdir(parents=True, exist_ok=True)
        written = OutputBag(out / 'output', output_bag, pipeline.category.name) \
            if output_bag else None
        sequence = SequenceTracker(pipeline, tracking, mesh, seed)
        records: list[Record] = []
        truth: list[JointState] = []
        try:
            with (out / 'estimates.jsonl').open('w', encoding='utf-8') as lines:
                for i, frame in enumerate(frames(reader, topics, segment_points, truth,
                                                        mask_id)):
                    if i % every:
                        continue
                    record = _followed(sequence, frame)
                    lines.write(json.dumps(record.to_dict()) + '\n')
                    if written is not None:
                        written.add(record)
                    if progress is not None:
                        progress(record)
                    # Points and meshes of a long recording would fill the memory.
                    records.append(_slim(record))
                    if len(records) == limit:
                        break
        finally:
            if written is not None:
                written.close()
    if not records:
        raise ValueError(f'{bag} has no usable frame on {topics.points or topics.depth}'
                         + (f' with {topics.camera_info}' if topics.depth else '')
                         + (f' and {topics.mask}' if topics.mask else ''))
    draw_timeline(records, truth, out / 'timeline.png',
                  f'{bag.name}: {pipeline.category.name}, {len(records)} frames')
    return records


def _followed(sequence: SequenceTracker, frame: Frame) -> Record:
    if frame.cloud is None:
        return Record(frame, 'none', None, frame.reason, 0.0)
    begin = time.perf_counter()
    found = sequence.update(frame.cloud, frame.seconds)
    return Record(frame, found.kind, found.estimate, found.reason,
                  1e3 * (time.perf_counter() - begin))


def _slim(record: Record) -> Record:
    estimate = record.estimate
    if estimate is not None:
        estimate = replace(estimate, points=np.zeros((0, 3)), latent=np.zeros(0), modes=(),
                           parts=tuple(replace(p, mesh=None) for p in estimate.parts))
    return replace(record, frame=replace(record.frame, cloud=None), estimate=estimate)
