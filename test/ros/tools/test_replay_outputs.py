"""What ``replay`` of one recording leaves in --out: one run as a whole, also after Ctrl-C."""

from __future__ import annotations

import os
import signal

import pytest

pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import plain_bags

from kinediff3d_core.cli import main
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.tools import timeline

FRAMES = 5


class Blind:
    """Finds no object; at one frame, somebody presses Ctrl-C."""

    category = get_category('laptop')

    def __init__(self, interrupted: int = 0) -> None:
        self.left = interrupted

    def infer(self, *_, **__):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)
        raise NoEstimate('nothing to see')


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Replays a recording with a pipeline; the exit status, and the lines that are printed."""
    monkeypatch.setattr(timeline, 'draw_timeline', lambda results, truth, path, title:
                        path.write_text(title))
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', plain_bags.camera_entries(
        plain_bags.small_views(FRAMES)))

    def replay(*more: object, pipeline: Blind | None = None):
        monkeypatch.setattr(Pipeline, 'load', lambda *_, **__: pipeline or Blind())
        status = main.main(['replay', str(bag), '--category', 'laptop', '--out',
                            str(tmp_path / 'out'), *map(str, more)])
        return status, capsys.readouterr()

    return replay


def lines(folder) -> int:
    return len((folder / 'estimates.jsonl').read_text().splitlines())


def test_a_run_replaces_the_last_one_as_a_whole(run, tmp_path) -> None:
    out = tmp_path / 'out'
    assert run()[0] == 1 and lines(out) == FRAMES
    first = {p.name for p in out.iterdir()}
    assert run('--limit', 2)[0] == 1 and lines(out) == 2
    status, said = run('--depth-topic', '/none')
    assert status == 2 and 'there is no topic /none' in said.err and lines(out) == 2
    assert {p.name for p in out.iterdir()} == first


def test_files_of_others_are_refused_before_the_work(run, tmp_path) -> None:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'estimates.jsonl').write_text('mine')
    status, said = run()
    assert status == 2 and 'has estimates.jsonl, not of an earlier run' in said.err
    assert (tmp_path / 'out' / 'estimates.jsonl').read_text() == 'mine'


def test_ctrl_c_keeps_the_frames_until_then(run, tmp_path) -> None:
    status, said = run(pipeline=Blind(interrupted=3))
    assert status == 130 and said.out.startswith('interrupted after 3 frames: ')
    assert lines(tmp_path / 'out') == 3 and (tmp_path / 'out' / 'timeline.png').exists()


def test_a_full_disk_is_named(run, tmp_path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
    try:
        status, said = run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    out = tmp_path / 'out'
    assert status == 2 and said.err.strip().endswith(
        f'{out}/estimates.jsonl cannot be written: File too large'), said.err
    assert not out.exists()
