"""Strips and animations from the pictures of a scene, without a browser."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from PIL import Image, ImageDraw, ImageSequence  # noqa: E402

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_ros.tools.screen_capture import CaptureOptions, ScreenCapture  # noqa: E402

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))


class StillScene:
    """Each captured picture has the next of the colours; the browser connects at the third call.
    """

    def __init__(self) -> None:
        self.calls, self.captured = 0, 0

    def picture(self, width: int, height: int) -> np.ndarray | None:
        self.calls += 1
        if self.calls < 3:
            return None
        if width > 480:  # supersampled: the one that is captured
            self.captured += 1
        colour = COLOURS[max(self.captured - 1, 0)]
        return np.broadcast_to(np.uint8(colour), (height, width, 3)).copy()


def capture(path: Path, every: float = 0.05, frames: int = 3) -> None:
    scene = StillScene()
    capture = ScreenCapture(scene.picture, CaptureOptions(path, frames, every, redraw_time=0.0,
                                                  message_time=0.0))
    assert not capture.done and capture.overdue() is None
    while not capture.done:
        if capture.overdue() is not None:
            capture.take('lid_joint 12.3°')
    assert capture.overdue() is None


def colours_of(picture: Image.Image) -> tuple[int, ...]:
    """Colour of the lower half: the label is in the upper one."""
    pixels = np.asarray(picture.convert('RGB'))
    return tuple(int(c) for c in np.median(pixels[len(pixels) // 2:].reshape(-1, 3), axis=0))


def test_a_strip_has_its_pictures_side_by_side(tmp_path: Path) -> None:
    capture(tmp_path / 'strip.png')
    with Image.open(tmp_path / 'strip.png') as strip:
        assert strip.size == (3 * 320, 260)
        parts = [strip.crop((320 * i, 0, 320 * (i + 1), 260)) for i in range(3)]
    assert [colours_of(part) for part in parts] == list(COLOURS)
    label = np.asarray(parts[0])[:30, :160]
    assert (label == 255).all(-1).any() and (label.max(-1) < 80).any(), 'dark text on white'


def test_a_gif_loops_for_ever_with_the_time_between_pictures(tmp_path: Path) -> None:
    capture(tmp_path / 'animation.GIF')
    with Image.open(tmp_path / 'animation.GIF') as animation:
        assert animation.format == 'GIF' and animation.size == (480, 360)
        assert animation.info['loop'] == 0
        frames = [(f.info['duration'], colours_of(f)) for f in ImageSequence.Iterator(animation)]
    assert [duration for duration, _ in frames] == [50, 50, 50]
    for (_, colour), expected in zip(frames, COLOURS, strict=True):
        np.testing.assert_allclose(colour, expected, atol=12)  # of the palette


def test_labels_have_the_time_and_the_joint_positions(tmp_path: Path, monkeypatch) -> None:
    labels = []
    monkeypatch.setattr(ImageDraw.ImageDraw, 'text', lambda self, xy, text, **_:
                        labels.append(text))
    capture(tmp_path / 'strip.png', frames=2)
    assert labels == ['0 s, lid_joint 12.3°'] * 2


def test_pictures_far_apart_make_a_time_lapse(tmp_path: Path) -> None:
    begin = time.monotonic()
    capture(tmp_path / 'animation.gif', every=0.2, frames=2)
    assert 0.4 <= time.monotonic() - begin
    with Image.open(tmp_path / 'animation.gif') as animation:
        assert animation.n_frames == 2 and animation.info['duration'] == 150


def test_a_missing_folder_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(ValueError, match='is not a folder'):
        ScreenCapture(StillScene().picture, CaptureOptions(tmp_path / 'none' / 'strip.png'))
    with pytest.raises(SystemExit):
        main.main(['view', '--help'])
    assert '.gif' in capsys.readouterr().out


def test_without_a_browser_no_picture_is_due(tmp_path: Path) -> None:
    scene = StillScene()
    capture = ScreenCapture(scene.picture, CaptureOptions(tmp_path / 'strip.png', every=0.0))
    assert capture.overdue() is None and capture.overdue() is None
    assert capture.overdue() is None and scene.calls == 3  # the browser moves its camera first
    assert capture.overdue() is not None
