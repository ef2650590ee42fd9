"""Settings of the perception node that are no ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeConfig:
    """Periods, timeouts and sizes of the perception node."""

    markers_period: float = 5.0
    """Time after which all markers are sent again, for viewers that missed them, s. The next
    frame or the next check after ``watch_period`` sends them. Chosen."""

    marker_lifetime: float = 12.0
    """Time after its last message at which a viewer removes a marker, so that a node that was
    killed leaves none, s. Chosen: two ``markers_period`` and two ``watch_period``, so that one
    message may be lost."""

    collision_objects_period: float = 10.0
    """Time after which all collision objects are added again, s: MoveIt refuses those whose frame
    it does not know yet, and loses messages while it plans. Chosen."""

    max_points: int = 10_000
    """Most points of ``points_used``. A megabyte per frame fills the buffers of the transport and
    delays the joint states. Chosen."""

    input_timeout: float = 2.0
    """Time without a usable frame after which diagnostics report what is missing, s. Chosen."""

    transform_timeout: float = 0.2
    """Time that a frame waits for the transform of its camera, s. Chosen."""

    watch_period: float = 1.0
    """Time between two checks of the input and two reports of the diagnostics, s. Chosen."""

    log_period: float = 10.0
    """Time for which the same text is not logged again, s. Chosen."""

    join_timeout: float = 4.0
    """Time that deactivation, and then the next activation, wait for the scene's threads, one of
    which may be inside a full estimate, s. That ends at its next step: with the preset ``fast`` at
    once, with ``paper`` after up to some seconds. Chosen."""

    shutdown_timeout: float = 30.0
    """Time that the end of the process waits for them, s. Chosen: far more than a step takes."""
