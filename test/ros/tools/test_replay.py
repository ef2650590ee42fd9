"""Recordings through the pipeline: bags of both storages, made here with the simulated camera."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

from builtin_interfaces.msg import Time  # noqa: E402
from PIL import Image as Picture  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_core.geometry.camera import Intrinsics, backproject  # noqa: E402
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene  # noqa: E402
from kinediff3d_ros.messages import camera_info, clouds, images  # noqa: E402
from kinediff3d_ros.tools import replay as R  # noqa: E402

INTRINSICS = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
CAMERA = 'camera_optical'
DEPTH, INFO, MASK = '/cam/depth/image_rect', '/cam/depth/camera_info', '/cam/mask'
POINTS, TRUTH = '/cam/points', '/cam/truth/joint_states'
STORAGES = ('mcap', 'sqlite3')


@pytest.fixture(scope='module')
def views() -> list[SimulatedFrame]:
    scene = SimulatedScene.sample('laptop', 0, 0, INTRINSICS, states=24)
    camera = SimulatedCamera(replace(scene, positions=scene.positions[9:13]))
    return [camera.state(i) for i in range(4)]


def header(i: int) -> Header:
    return Header(stamp=Time(sec=100, nanosec=100_000_000 * i), frame_id=CAMERA)


Entry = tuple[str, int, object]
"""Topic, time of recording in ns, message."""


def messages(views: list[SimulatedFrame], topics: tuple[str, ...]) -> list[Entry]:
    """What a camera would have recorded; the first camera_info comes after the first image."""
    out: list[Entry] = []
    for i, view in enumerate(views):
        h, at = header(i), 100_000_000_000 + 100_000_000 * i
        pixels = np.round(view.depth * 1000).astype(np.uint16)
        cloud = backproject(view.depth, INTRINSICS, view.mask)
        made = {
            DEPTH: lambda h=h, p=pixels: images.image_from_pixels(p, '16UC1', h),
            INFO: lambda h=h: camera_info.info_from_intrinsics(INTRINSICS, h),
            MASK: lambda h=h, v=view: images.image_from_pixels(
                v.mask.astype(np.uint8), 'mono8', h),
            POINTS: lambda h=h, c=cloud: clouds.cloud_from_points(c, h),
            TRUTH: lambda h=h, v=view: JointState(
                header=h, name=['lid_joint'], position=[float(v.positions[0])]),
        }
        out += [(topic, at + k, make()) for k, (topic, make) in enumerate(made.items())
                if topic in topics]
    return out


def write_bag(path: Path, storage: str, entries: list[Entry]) -> Path:
    store = get_typestore(Stores.ROS2_JAZZY)
    connections: dict[str, object] = {}
    with rosbag2.Writer(path, version=9,
                        storage_plugin=rosbag2.StoragePlugin[storage.upper()]) as bag:
        for topic, at, message in entries:
            kind = f'{type(message).__module__.split(".")[0]}/msg/{type(message).__name__}'
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=store)
            bag.write(connections[topic], at, serialize_message(message))
    return path


@pytest.fixture(scope='module', params=STORAGES)
def bag(request, views, tmp_path_factory) -> Path:
    return write_bag(tmp_path_factory.mktemp('bags') / request.param, request.param,
                     messages(views, (DEPTH, INFO, MASK, TRUTH)))


def test_frames_are_what_was_recorded(bag: Path, views: list[SimulatedFrame]) -> None:
    truth: list[JointState] = []
    for path in (bag, next(p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3'))):
        with R.open_bag(path) as reader:
            topics = R.choose_topics(reader, R.Topics())
            assert topics == R.Topics(DEPTH, INFO, MASK, '', TRUTH)
            found = list(R.frames(reader, topics, truth=truth))
            other = next(R.frames(reader, topics, mask_id=2))
            assert other.cloud is None and other.reason == 'the mask has no pixel of id 2'
        assert [f.header.stamp.nanosec for f in found] == [100_000_000 * i for i in range(4)]
        for frame, view in zip(found, views, strict=True):
            depth = np.round(view.depth * 1000).astype(np.float32) * np.float32(0.001)
            np.testing.assert_allclose(frame.cloud.points, backproject(
                depth, INTRINSICS, view.mask & (depth > 0)), atol=1e-6)
            assert frame.header.frame_id == CAMERA and frame.seconds > 100 - 1e-6
    assert [m.position[0] for m in truth[:4]] == [float(v.positions[0]) for v in views]


def test_clouds_are_taken_where_there_is_no_depth(views: list, tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', 'mcap', messages(views, (POINTS,)))
    with R.open_bag(path) as reader:
        topics = R.choose_topics(reader, R.Topics())
        assert topics == R.Topics(points=POINTS)
        found = list(R.frames(reader, topics))
    assert [len(f.cloud) for f in found] == [
        len(backproject(v.depth, INTRINSICS, v.mask)) for v in views]


def test_replay_from_the_command_line(bag: Path, views: list, tmp_path: Path, capsys) -> None:
    out = tmp_path / 'out'
    storage = STORAGES[1 - STORAGES.index(bag.name)]
    assert main.main(['replay', str(bag), '--category', 'laptop', '--out', str(out), '--limit',
                     '3', '--write-bag', storage]) == 0
    assert '3 frames: ' in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / 'estimates.jsonl').read_text().splitlines()]
    assert [x['stamp'] for x in lines] == [{'sec': 100, 'nanosec': 100_000_000 * i}
                                           for i in range(3)]
    assert lines[0]['kind'] == 'full' and 'tracked' in [x['kind'] for x in lines]
    for line, view in zip(lines, views, strict=False):
        error = line['estimate']['joints'][0]['position'] - view.positions[0]
        assert abs(np.degrees(error)) < 12
    assert min(Picture.open(out / 'timeline.png').size) > 300
    with R.open_bag(out / 'output') as reader:
        heard = [(c.topic, at, bytes(raw)) for c, at, raw in reader.messages()]
    kinds = {'/tf': TFMessage, '/joint_states': JointState, '/markers': MarkerArray}
    for topic, kind in kinds.items():
        found = [(at, deserialize_message(raw, kind)) for t, at, raw in heard if t == topic]
        assert len(found) == 3
    transforms = [deserialize_message(raw, TFMessage) for t, _, raw in heard if t == '/tf']
    assert [t.child_frame_id for t in transforms[0].transforms] == ['laptop/base', 'laptop/lid']
    assert transforms[1].transforms[0].header.stamp.nanosec == 100_000_000
    recorded = {at for _, at, _ in heard}
    assert recorded == {100_000_000_000 + 100_000_000 * i for i in range(3)}


def refused(capsys, path: Path, *arguments: str) -> str:
    """The one line about a bag that cannot be used."""
    status = main.main(['replay', str(path), '--category', 'laptop', '--out',
                       str(path.parent / 'never'), *arguments])
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(lines) == 1, lines
    assert not (path.parent / 'never').exists()
    return lines[0].removeprefix('kinediff3d: error: ')


@pytest.mark.parametrize('damage', ['cut', 'noise'])
def test_damaged_bags(bag: Path, tmp_path: Path, damage: str, capsys) -> None:
    whole = next(p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3'))
    content = whole.read_bytes()
    spoilt = tmp_path / f'spoilt{whole.suffix}'
    spoilt.write_bytes(content[:len(content) // 3] if damage == 'cut' else
                       np.random.default_rng(0).bytes(5000))
    assert 'spoilt' in refused(capsys, spoilt)


def test_what_is_no_bag(tmp_path: Path, capsys) -> None:
    assert 'does not exist' in refused(capsys, tmp_path / 'none')
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    assert 'not a readable ROS 2 bag' in refused(capsys, tmp_path / 'old.bag')
    (tmp_path / 'empty').mkdir()
    assert 'empty' in refused(capsys, tmp_path / 'empty')
    (tmp_path / 'empty.mcap').write_bytes(b'')
    assert 'not a readable ROS 2 bag' in refused(capsys, tmp_path / 'empty.mcap')


def test_bags_without_what_is_needed(views: list, tmp_path: Path, capsys) -> None:
    foreign = write_bag(tmp_path / 'foreign', 'mcap', [('/chatter', 1, String(data='hello'))])
    assert 'one depth image, it has none' in refused(capsys, foreign)
    blind = write_bag(tmp_path / 'blind', 'sqlite3', messages(views[:1], (DEPTH,)))
    assert 'one camera_info, it has none' in refused(capsys, blind)
    assert f'no topic /other; it has {DEPTH}' in refused(capsys, blind, '--depth-topic', '/other')
    assert 'not sensor_msgs/msg/PointCloud2' in refused(capsys, blind, '--points-topic', DEPTH)
    two = messages(views[:1], (DEPTH, INFO))
    two.append(('/left/depth', 5, two[0][2]))
    assert '--depth-topic' in refused(capsys, write_bag(tmp_path / 'two', 'mcap', two))
    assert 'unknown category' in refused(capsys, blind, '--category', 'chair')
