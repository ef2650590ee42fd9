"""Many recordings: shared by processes, replayed once, and each for itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import bags  # noqa: E402
import torch  # noqa: E402
from two_processes import run_two  # noqa: E402

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_core.distributed.ranks import ALONE  # noqa: E402
from kinediff3d_core.objects.category import get_category  # noqa: E402
from kinediff3d_core.objects.estimate import NoEstimate  # noqa: E402
from kinediff3d_ros.tools import recordings  # noqa: E402
from kinediff3d_ros.tools.recordings import recording_names, replay_recordings  # noqa: E402
from kinediff3d_ros.tools.replay import ReplayOptions  # noqa: E402


@pytest.fixture(scope='module')
def recorded(views, tmp_path_factory) -> list[Path]:
    """A recording of two frames, a folder that is none, and a recording of one frame."""
    folder = tmp_path_factory.mktemp('recordings')
    topics = (bags.DEPTH, bags.INFO, bags.MASK)
    first = bags.record(folder / 'a', 'mcap', views[:2], *topics)
    (folder / 'b').mkdir()
    return [first, folder / 'b', bags.record(folder / 'c', 'sqlite3', views[2:3], *topics)]


def estimates(folder: Path) -> list[dict]:
    """The lines of a recording's results, without times."""
    lines = [json.loads(line) for line in (folder / 'estimates.jsonl').read_text().splitlines()]
    for line in lines:
        line.pop('milliseconds')
        line['estimate'].pop('seconds')
    return lines


def test_two_processes_replay_what_one_does_and_only_once(recorded, tmp_path, capsys) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    command = ['replay', *map(str, recorded), '--category', 'laptop', '--no-tracking', '--out']
    one, two = tmp_path / 'one', tmp_path / 'two'
    ((status, text, errors),), ((other_status, *other),) = run_two([*command, two])
    assert main.main([*command, str(one)]) == status == 2 and other_status == 0
    alone = capsys.readouterr()
    torch.set_num_threads(threads)
    assert text == alone.out.replace(str(one), str(two)) and other == ['', '']
    assert text.splitlines() == [
        'a: 2 frames: 2 full estimates, 0 tracked, 0 without an estimate',
        'c: 1 frames: 1 full estimates, 0 tracked, 0 without an estimate',
        f'2 of 3 recordings are in {two}; 1 failed']
    assert errors == alone.err and errors.startswith('kinediff3d: b: ')
    assert len(errors.splitlines()) == 1
    for name in ('a', 'c'):
        assert estimates(one / name) == estimates(two / name)
        assert (two / name / 'timeline.png').is_file()
    assert sorted(p.name for p in two.iterdir()) == ['a', 'c']

    shutil.rmtree(two / 'c')  # as if this recording had not been finished
    before = (two / 'a' / 'timeline.png').stat().st_mtime_ns
    assert main.main([*command, str(two)]) == 2
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.endswith('(replayed earlier)') and 'earlier' not in second
    assert (two / 'a' / 'timeline.png').stat().st_mtime_ns == before
    assert estimates(two / 'c') == estimates(one / 'c')


class BlindPipeline:
    """Finds no object."""

    category = get_category('laptop')

    def infer(self, *_, **__):
        raise NoEstimate('nothing to see')


@pytest.fixture
def replayed(recorded, tmp_path):
    """Replays the recordings into a folder, with options."""
    def replay_all(run=None, **options):
        return replay_recordings(BlindPipeline(), [ReplayOptions(
            bag, tmp_path / bag.name, **options) for bag in recorded], run or {}, ALONE)

    return replay_all


def test_results_of_other_options_are_refused(replayed, tmp_path) -> None:
    a, b, c = replayed({'preset': 'fast'})
    assert a.outcome.frames == {'full': 0, 'tracked': 0, 'none': 2}
    assert (a.outcome.reason, a.outcome.with_reason) == ('nothing to see', 2)
    assert not (a.error or a.earlier) and b.error and b.outcome is None
    assert replayed({'preset': 'fast'}) == [replace(a, earlier=True), b, replace(c, earlier=True)]
    assert 'preset: fast there, paper now' in replayed({'preset': 'paper'})[0].error
    assert 'every: 1 there, 2 now' in replayed({'preset': 'fast'}, every=2)[2].error
    (tmp_path / 'a' / 'replay.json').unlink()
    assert 'choose another --out' in replayed({'preset': 'fast'})[0].error


def test_a_recording_whose_replay_was_killed_is_replayed_anew(replayed, tmp_path, monkeypatch,
                                                              ) -> None:
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recordings, 'write_text', killed)
    with pytest.raises(KeyboardInterrupt):
        replayed(storage='mcap')
    assert (tmp_path / 'a.unfinished' / 'output').is_dir() and not (tmp_path / 'a').exists()
    monkeypatch.undo()
    a, _, c = replayed(storage='mcap')
    assert not (a.error or c.error) and (tmp_path / 'a' / 'output').is_dir()
    assert not (tmp_path / 'a.unfinished').exists()


def test_recordings_of_one_name_are_refused(recorded, tmp_path) -> None:
    a, _, c = recorded
    assert recording_names([a, bags.bag_file(c)]) == ['a', bags.bag_file(c).stem]
    with pytest.raises(ValueError, match="two recordings have the name 'a'"):
        recording_names([a, tmp_path / 'a'])
