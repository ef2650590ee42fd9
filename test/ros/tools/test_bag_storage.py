"""Recordings of every kind, whole, compressed, without metadata, cut short and damaged."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import numpy as np
import plain_bags
import zstandard

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.tools import bag_limits, bag_recovery, bag_storage, timeline
from kinediff3d_ros.tools.bag_storage import open_bag
from kinediff3d_ros.tools.bag_topics import Topics
from kinediff3d_ros.tools.replay import ReplayOptions, replay

FRAMES = 12


class BlindPipeline:
    """Finds no object."""

    category = get_category('laptop')

    def infer(self, *_, **__):
        raise NoEstimate('nothing to see')


@pytest.fixture(scope='module')
def entries() -> list:
    return plain_bags.camera_entries(plain_bags.small_views(FRAMES))


@pytest.fixture(scope='module')
def noisy() -> list:
    """Messages of 600 KB that cannot be compressed much."""
    noise = np.random.default_rng(0)
    return plain_bags.camera_entries([
        (noise.integers(500, 30000, (60, 80), np.uint16), noise.integers(
            0, 255, (60, 80), np.uint8)) for _ in range(40)])


@pytest.fixture
def replayed(tmp_path, monkeypatch):
    """Replays a recording without a picture; the outcome and the number of frames."""
    monkeypatch.setattr(timeline, 'draw_timeline', lambda *_: None)

    def run(path: Path, **topics: str):
        results, outcome = replay(BlindPipeline(), ReplayOptions(path, tmp_path / 'out',
                                                                 Topics(**topics)))
        assert len((tmp_path / 'out' / 'estimates.jsonl').read_text().splitlines()) == len(results)
        return outcome, len(results)

    return run


@pytest.mark.parametrize(('storage', 'compression'), [
    ('mcap', ''), ('mcap', 'storage'), ('mcap', 'message'), ('mcap', 'file'), ('sqlite3', ''),
    ('sqlite3', 'message'), ('sqlite3', 'file')])
def test_storages_and_compressions(entries, replayed, tmp_path, storage, compression) -> None:
    bag = plain_bags.write(tmp_path / 'bag', storage, entries, compression)
    outcome, frames = replayed(bag)
    assert frames == FRAMES and not (outcome.warnings or outcome.unused)
    assert str(outcome) == ('12 frames: 0 full estimates, 0 tracked, 12 without an estimate '
                            f'({outcome.reason})')
    outcome, frames = replayed(plain_bags.storage_file(bag))
    assert frames == FRAMES and not outcome.warnings
    (bag / 'metadata.yaml').unlink()
    outcome, frames = replayed(bag)
    assert frames == FRAMES and 'ros2 bag reindex' in outcome.warnings[0]


@pytest.mark.parametrize(('storage', 'compression'), [
    ('mcap', ''), ('mcap', 'file'), ('sqlite3', ''), ('ros1', '')])
def test_the_end_of_a_name_may_be_in_capitals(replayed, tmp_path, storage, compression) -> None:
    store = plain_bags.ROS1 if storage == 'ros1' else plain_bags.ROS2
    entries = plain_bags.camera_entries(plain_bags.small_views(FRAMES), store=store)
    path = plain_bags.write(tmp_path / 'bag.bag', storage, entries, compression)
    file = path if path.is_file() else plain_bags.storage_file(path)
    outcome, frames = replayed(file.rename(tmp_path / file.name.upper()))
    assert frames == FRAMES and not outcome.warnings


@pytest.mark.parametrize('compression', ['', 'storage', 'file'])
@pytest.mark.parametrize('metadata', [False, True])
@pytest.mark.parametrize('share', [0.4, 0.98])
def test_an_mcap_that_was_cut_is_read_as_far_as_it_goes(noisy, replayed, tmp_path, compression,
                                                        metadata, share) -> None:
    """Zstandard unpacks whole blocks of 128 KiB, of which the entries fill several."""
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', noisy, compression)
    file = plain_bags.storage_file(bag)
    content = file.read_bytes()
    file.write_bytes(content[:int(share * len(content))])
    outcome, frames = replayed(bag if metadata else file)
    whole = len(noisy) // 3
    assert (share - 0.3) * whole <= frames <= (share + 0.02) * whole
    assert 'cut short or damaged' in outcome.warnings[0]
    assert 'mcap recover bag.mcap' in outcome.warnings[0]


def test_a_sqlite_file_that_was_cut_is_read_as_far_as_it_goes(replayed, tmp_path) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'sqlite3', plain_bags.camera_entries(
        plain_bags.small_views(80)))
    file = plain_bags.storage_file(bag)
    content = file.read_bytes()
    file.write_bytes(content[:int(0.7 * len(content))])
    outcome, frames = replayed(bag)
    assert 20 < frames < 80 and 'sqlite3 bag.db3 .recover' in outcome.warnings[0]


def test_a_chunk_of_lz4_without_an_end(entries, replayed, tmp_path) -> None:
    outcome, frames = replayed(plain_bags.lz4_mcap(tmp_path / 'cut.mcap', entries))
    assert frames == FRAMES and 'mcap recover cut.mcap' in outcome.warnings[0]


def test_damage_in_the_middle_ends_a_recording_there(entries, replayed, tmp_path) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', entries, 'storage')
    other = plain_bags.write(tmp_path / 'other', 'mcap', entries)
    content = bytearray(plain_bags.storage_file(bag).read_bytes())
    at = content.index(zstandard.MAGIC_NUMBER.to_bytes(4, 'little')) + 30
    content[at:at + 20] = bytes(20)
    plain_bags.storage_file(bag).write_bytes(content)
    shutil.copy(plain_bags.storage_file(other), bag / 'bag_1.mcap')
    (bag / 'metadata.yaml').unlink()
    outcome, frames = replayed(bag)
    assert frames == FRAMES
    assert any('bag.mcap is cut short or damaged' in w for w in outcome.warnings)


def test_files_of_a_split_recording_are_read_in_order(tmp_path) -> None:
    folder = tmp_path / 'bag'
    folder.mkdir()
    for i in (10, 2, 1):
        part = plain_bags.write(tmp_path / f'part{i}', 'mcap', plain_bags.camera_entries(
            plain_bags.small_views(1), stamps=[i]))
        shutil.copy(plain_bags.storage_file(part), folder / f'bag_{i}.mcap')
    with open_bag(folder) as bag:
        stamps = [m.header.stamp.nanosec for _, _, m in bag.messages([plain_bags.DEPTH])]
    assert stamps == [1, 2, 10]
    (folder / 'metadata.yaml').write_text('rosbag2_bagfile_information:\n  relative_file_paths: '
                                          '[bag_1.mcap, gone.mcap]\n')
    with open_bag(folder) as bag:
        assert len(list(bag.messages([plain_bags.DEPTH]))) == 1 and 'gone' in bag.warnings[0]


@pytest.mark.parametrize('text', [
    b'', b'\xff\xfe', b'[1, 2]', b'rosbag2_bagfile_information: 3', b'a: *b', b'{' * 2000,
    b'rosbag2_bagfile_information: {relative_file_paths: 5}',
    b'rosbag2_bagfile_information: {relative_file_paths: [[1], {a: b}]}',
    b'rosbag2_bagfile_information: {relative_file_paths: [../../etc/passwd]}'])
def test_metadata_that_cannot_be_used_costs_a_warning(entries, tmp_path, text) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', entries[:3])
    (bag / 'metadata.yaml').write_bytes(text)
    with open_bag(bag) as content:
        assert len(list(content.messages([plain_bags.DEPTH]))) == 1
    assert len(content.warnings) == 1 and len(content.warnings[0]) <= 300


def test_bags_of_ros_1(replayed, tmp_path) -> None:
    """With D, K, R, P; frame names that begin with a slash."""
    path = plain_bags.write(tmp_path / 'old.bag', 'ros1', plain_bags.camera_entries(
        plain_bags.small_views(3), frame='/camera', store=plain_bags.ROS1))
    outcome, frames = replayed(path)
    assert frames == 3 and not outcome.warnings and outcome.reason == outcome.reason.strip()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match='old.bag.*"rosbag reindex old.bag"'):
        replayed(path)


def test_messages_that_cannot_be_decoded_are_left_out(entries, replayed, tmp_path) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'sqlite3', entries)
    import sqlite3

    with sqlite3.connect(plain_bags.storage_file(bag)) as data:
        data.execute("UPDATE messages SET data = x'00010000' WHERE id IN (5, 8)")
        data.execute("UPDATE messages SET timestamp = 'noon' WHERE id = 11")
    outcome, frames = replayed(bag)
    assert frames == FRAMES - 3
    assert outcome.warnings[0].startswith(f'3 messages on {plain_bags.DEPTH} cannot be decoded')


def test_optional_fields_may_be_missing(views, tmp_path, replayed) -> None:
    """No frame_id, P, distortion, size of the camera, step; joint states without positions."""
    entries = plain_bags.camera_entries(plain_bags.pixels_of(views), 300.0, frame='')
    for _, _, kind, message in entries:
        for name in ('width', 'height') if kind.endswith('CameraInfo') else ('step',):
            object.__setattr__(message, name, 0)
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', entries + [
            (plain_bags.TRUTH, i, 'sensor_msgs/msg/JointState',
             plain_bags.joint_states(i, {'lid_joint': 1.0}, names_only=i % 2)) for i in (1, 2)])
    outcome, frames = replayed(bag)
    assert frames == len(views) and outcome.reason == 'nothing to see' and not outcome.warnings


def test_a_log_of_sqlite_that_is_not_read_is_named(entries, replayed, tmp_path) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'sqlite3', entries)
    (bag / 'bag.db3-wal').write_bytes(bytes(10))
    outcome, _ = replayed(bag)
    assert "sqlite3 bag.db3 'PRAGMA wal_checkpoint'" in outcome.warnings[0]


def test_stamps_that_do_not_advance_are_said(entries, replayed, tmp_path) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', plain_bags.camera_entries(
        plain_bags.small_views(4), stamps=[0] * 4))
    outcome, frames = replayed(bag)
    assert (frames, outcome.with_reason) == (4, 3) and 'stamps do not advance' in outcome.reason
    assert 'do not advance: all are 0.000000000' in outcome.unused
    late = plain_bags.camera_entries(plain_bags.small_views(4), stamps=[0] * 4)
    for i, (topic, recorded, kind, _) in enumerate(late):
        if topic == plain_bags.MASK:
            late[i] = (topic, recorded, kind, entries[2][3])
    with pytest.raises(ValueError, match='no mask within.*do not advance: all are 0.000000000'):
        replayed(plain_bags.write(tmp_path / 'late', 'mcap', late))


def test_why_there_is_no_frame_is_said(entries, replayed, tmp_path) -> None:
    only = [e for e in entries if e[0] != plain_bags.INFO]
    bag = plain_bags.write(tmp_path / 'blind', 'mcap', only)
    with pytest.raises(ValueError, match='must be one camera_info .*, there is none'):
        replayed(bag)
    message = plain_bags.camera_info(1, '', plain_bags.SMALL, 30.0)
    far = [*[(t, r, k, m) for t, r, k, m in only if t != plain_bags.MASK],
           (plain_bags.INFO, 1, 'sensor_msgs/msg/CameraInfo', message),
           (plain_bags.MASK, 2, 'sensor_msgs/msg/Image', plain_bags.image(
               plain_bags.small_views(1)[0][1], 'mono8', 1, ''))]
    with pytest.raises(ValueError, match='12 depth images have no mask within 0.02 s'):
        replayed(plain_bags.write(tmp_path / 'far', 'mcap', sorted(far, key=lambda e: e[1])))


def test_a_recording_that_begins_again_is_another_sequence(replayed, tmp_path) -> None:
    stamps = [100 * 10**9, 101 * 10**9, 50 * 10**9, 49_900_000_000, 51 * 10**9]
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', plain_bags.camera_entries(
        plain_bags.small_views(5), stamps=stamps))
    outcome, frames = replayed(bag)
    assert frames == 5
    from kinediff3d_ros.tools.bag_reader import FrameReader
    from kinediff3d_ros.tools.bag_topics import choose_topics

    with open_bag(bag) as content:
        found = list(FrameReader(choose_topics(content, Topics())).read(content))
    assert [f.restarts for f in found] == [False, False, True, False, False]
    assert [i for i, f in enumerate(found) if 'older' in f.reason] == [3]


def test_a_failure_in_drawing_costs_a_warning(entries, replayed, tmp_path, monkeypatch) -> None:
    def fail(*_):
        raise RuntimeError('no fonts')

    monkeypatch.setattr(timeline, 'draw_timeline', fail)
    outcome, frames = replayed(plain_bags.write(tmp_path / 'bag', 'mcap', entries))
    assert frames == FRAMES
    assert outcome.warnings == ('timeline.png could not be drawn (RuntimeError: no fonts); '
                                'estimates.jsonl is complete',)
    assert not (tmp_path / 'out' / 'timeline.png').exists()


def test_a_bomb_of_zeros_is_not_unpacked(tmp_path, monkeypatch) -> None:
    from kinediff3d_ros.tools.bag_recovery import unpack

    packed = zstandard.compress(bytes(2**24))
    assert len(unpack(packed, 'zstd', 1000)) == 1000
    monkeypatch.setattr(bag_storage, 'MIN_UNPACKED', 2**20)
    (tmp_path / 'bomb.mcap.zstd').write_bytes(packed)
    with pytest.raises(ValueError, match='bomb.mcap.zstd has more than 1 MiB'):
        with open_bag(tmp_path / 'bomb.mcap.zstd'):
            pass


@pytest.mark.parametrize(('storage', 'compression', 'cut'), [
    ('mcap', 'storage', 0), ('mcap', 'storage', 20), ('ros1', 'bz2', 0), ('ros1', 'lz4', 0)])
def test_a_chunk_that_is_a_bomb_is_not_unpacked(tmp_path, monkeypatch, storage, compression,
                                                cut) -> None:
    """Images of one value are some kilobytes when they are compressed."""
    store = plain_bags.ROS1 if storage == 'ros1' else plain_bags.ROS2
    views = [(np.full((60, 80), 900, np.uint16), np.ones((60, 80), np.uint8))] * 9
    bag = plain_bags.write(tmp_path / 'bag', storage, plain_bags.camera_entries(
        views, store=store), compression)
    file = bag if storage == 'ros1' else plain_bags.storage_file(bag)
    file = file.rename(tmp_path / f'a.{"bag" if storage == "ros1" else storage}')
    file.write_bytes(file.read_bytes()[:-cut or None])
    for module in (bag_limits, bag_recovery):
        monkeypatch.setattr(module, 'MAX_CHUNK', 2**16)
    with open_bag(file) as opened:
        messages = list(opened.messages([plain_bags.DEPTH]))
        assert ('cut short' if cut else 'a chunk has more than') in opened.warnings[0]
    assert len(messages) == (4 if cut else 0)


@pytest.mark.parametrize(('topics', 'said'), [
    ({'depth': '/cam/depht/image_rect'}, 'did you mean /cam/depth/image_rect'),
    ({'mask': plain_bags.INFO}, 'would fit'),
    ({'depth': 'x' * 5000}, 'there is no topic xxx')])
def test_topics_that_are_wrong_are_named_with_others(entries, replayed, tmp_path, topics, said,
                                                     ) -> None:
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', entries)
    with pytest.raises(ValueError, match=said) as refused:
        replayed(bag, **topics)
    assert len(str(refused.value)) <= 300 and str(bag)[:20] in str(refused.value)


@pytest.mark.parametrize(('topics', 'said'), [
    ({'/cam/image': 'Image'}, 'of this type are /cam/image; name it with --depth-topic'),
    ({'/depth/image/compressed': 'CompressedImage'}, 'republish it as raw'),
    ({'/chatter': 'String'}, r'sensor_msgs/msg/Image\), there is none; .* has /chatter'),
    ({f'/{i}/depth': 'Image' for i in range(30)}, 'there are several: .* and 26 more; name it')])
def test_what_could_be_the_depth_is_named(topics, said) -> None:
    from kinediff3d_ros.tools.bag_topics import choose_topics

    bag = SimpleNamespace(path=Path('x' * 400), encodings={}, topics={
        t: f'sensor_msgs/msg/{kind}' for t, kind in topics.items()})
    with pytest.raises(ValueError, match=said) as refused:
        choose_topics(bag, Topics())
    assert len(str(refused.value)) <= 300


def test_the_calibration_beside_the_depth_is_chosen() -> None:
    """As in recordings of the RealSense viewer, and of drivers with several cameras."""
    from kinediff3d_ros.tools.bag_topics import choose_topics

    depth = '/device_0/sensor_0/Depth_0/image/data'
    infos = ['/device_0/sensor_0/Depth_0/info/camera_info',
             '/device_0/sensor_1/Color_0/info/camera_info']
    bag = SimpleNamespace(path=Path('bag'), encodings={}, topics={
        depth: 'sensor_msgs/msg/Image', **dict.fromkeys(infos, 'sensor_msgs/msg/CameraInfo')})
    assert choose_topics(bag, Topics()).camera_info == infos[0]
