"""Joint positions as people read them: degrees for revolute joints, millimetres for prismatic."""

from __future__ import annotations

import math

DISPLAY_UNITS = {'revolute': ('°', 180 / math.pi), 'prismatic': ('mm', 1e3)}
"""Joint type to the unit that is displayed and its size in rad or m."""


def format_position(joint_type: str, position: float) -> str:
    """A position (rad or m) with its unit; both units for a joint type that is not known."""
    if joint_type not in DISPLAY_UNITS:
        return f'{position:.3f} rad or m'
    unit, factor = DISPLAY_UNITS[joint_type]
    return f'{factor * position:.0f} mm' if unit == 'mm' else f'{factor * position:.1f}°'
