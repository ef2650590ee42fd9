"""What results depend on, so that a run never continues from those of other options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGE = 'kinediff3d_ros'
"""Name of the distribution in setup.py."""


def package_version() -> str:
    """Version of this package, or ``unknown`` where it is not installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return 'unknown'


def fingerprint(values: Any) -> str:
    """SHA-256 of values that JSON can hold; others count as their text."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The entries in which two descriptions of a run differ, in words."""
    return ', '.join(f'{name}: {before.get(name)} there, {now.get(name)} now'
                     for name in sorted({*before, *now}) if before.get(name) != now.get(name))
