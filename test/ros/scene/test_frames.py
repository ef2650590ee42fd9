"""Stamps of frames."""

from kinediff3d_ros.scene.frames import FrameHeader


def test_stamps_in_seconds_and_as_text() -> None:
    header = FrameHeader(12_000_000_034, 'camera')
    assert header.seconds == 12 + 34e-9
    assert header.stamp_text('.') == '12.000000034' and header.stamp_text('-') == '12-000000034'
