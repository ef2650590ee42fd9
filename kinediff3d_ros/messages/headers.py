"""Stamps and headers of messages, and integers of nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""


def nanoseconds_from_time(stamp: Time) -> int:
    """Stamp in ns."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def header_from_stamp(nanoseconds: int, frame_id: str) -> Header:
    """Header with a stamp in ns."""
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Header(stamp=Time(sec=seconds, nanosec=rest), frame_id=frame_id)
