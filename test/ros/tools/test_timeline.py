"""The picture of a replayed recording."""

from __future__ import annotations

from pathlib import Path

import pytest
from estimates import laptop_estimate

from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.tools.replay_frames import RecordedPositions, ReplayFrame, ReplayResult
from kinediff3d_ros.tools.timeline import draw_timeline


def test_recorded_states_of_a_camera_and_of_a_node_are_drawn(tmp_path: Path) -> None:
    """A node's joint states have the object's name before the category's."""
    frame = ReplayFrame(FrameHeader(0, ''), 0, None)
    result = ReplayResult(frame, 'full', laptop_estimate(1.0), '', 1.0)

    def picture(name: str) -> bytes:
        path = tmp_path / f'{name}.png'
        draw_timeline([result], [RecordedPositions(0, {name: 1.1})], path, '')
        return path.read_bytes()

    assert picture('lid_joint') == picture('laptop_lid_joint') != picture('elbow')


def test_a_recording_without_the_object_is_drawn_without_a_warning(
        tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    frame = ReplayFrame(FrameHeader(0, ''), 0, None, 'the mask is empty')
    draw_timeline([ReplayResult(frame, 'none', None, frame.reason, 0.0)], [],
                  tmp_path / 'none.png', '')
    assert (tmp_path / 'none.png').stat().st_size and not recwarn.list
