"""Diagnostic statuses."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

# --- diagnostics --------------------------------------------------------------------------------

def diagnostic_status(name: str, hardware_id: str, level: bytes, message: str,
                      values: Mapping[str, object]) -> DiagnosticStatus:
    """One status; numbers are written with six digits at most."""
    def text(value: object) -> str:
        return f'{value:.6g}' if isinstance(value, float) else str(value)

    return DiagnosticStatus(name=name, hardware_id=hardware_id, level=level, message=message,
                            values=[KeyValue(key=k, value=text(v)) for k, v in values.items()])
