"""DiagnosticStatus messages."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

LEVELS = {
    'inactive': DiagnosticStatus.OK,
    'waiting': DiagnosticStatus.WARN,
    'estimate': DiagnosticStatus.OK,
    'no_estimate': DiagnosticStatus.WARN,
    'bad_input': DiagnosticStatus.ERROR,
    'error': DiagnosticStatus.ERROR,
    'stale': DiagnosticStatus.STALE,
    'lost': DiagnosticStatus.STALE,
}
"""Level of each state of a node or an object."""


def diagnostic_status(name: str, hardware_id: str, state: str, message: str,
                      values: Mapping[str, object]) -> DiagnosticStatus:
    """Status with the level of a state, at least WARN if the values have a ``warning``.

    Floats are written with at most six digits.

    Raises:
        KeyError: no such state.
    """
    def text(value: object) -> str:
        return f'{value:.6g}' if isinstance(value, float) else str(value)

    level = LEVELS[state]
    if level == DiagnosticStatus.OK and values.get('warning'):
        level = DiagnosticStatus.WARN
    return DiagnosticStatus(
        name=name, hardware_id=hardware_id, level=level, message=message,
        values=[KeyValue(key=k, value=text(v)) for k, v in values.items()])
