"""Thresholds of tracking."""

from __future__ import annotations

SECOND_LOOK = 2.0, 24.0
"""Least time between two full estimates of an object that is tracked but uncertain, or is seen
from another side or in another state than at the last, s: at first, and at most. It doubles each
time that the newer estimate explains no more."""
