"""One frame of a recording, and its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from std_msgs.msg import Header

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.observation.cloud import ObjectCloud


@dataclass(frozen=True)
class ReplayFrame:
    """The points on the object in one frame.

    Attributes:
        header: of the image or the cloud.
        recorded: time of the recording, ns.
        cloud: None if the frame shows no object.
        reason: why there is no cloud.
    """

    header: Header
    recorded: int
    cloud: ObjectCloud | None
    reason: str = ''

    @property
    def seconds(self) -> float:
        """Stamp, s."""
        return seconds_of(self.header)


@dataclass(frozen=True)
class ReplayResult:
    """The answer to one frame.

    Attributes:
        kind, estimate, reason: as in
            :class:`kinediff3d_core.tracking.sequence_tracker.TrackedFrame`.
        milliseconds: computing time.
    """

    frame: ReplayFrame
    kind: str
    estimate: ArticulatedEstimate | None
    reason: str
    milliseconds: float

    def to_dict(self) -> dict[str, Any]:
        """One line of ``estimates.jsonl``."""
        stamp = self.frame.header.stamp
        return {'stamp': {'sec': stamp.sec, 'nanosec': stamp.nanosec},
                'frame_id': self.frame.header.frame_id, 'kind': self.kind,
                'reason': self.reason, 'milliseconds': round(self.milliseconds, 3),
                'estimate': None if self.estimate is None else self.estimate.to_dict()}

    def without_arrays(self) -> ReplayResult:
        """The result without points, meshes, latent code and modes.

        Those of a long recording would fill the memory.
        """
        estimate = self.estimate
        if estimate is not None:
            estimate = replace(estimate, points=np.zeros((0, 3)), latent=np.zeros(0), modes=(),
                               parts=tuple(replace(p, mesh=None) for p in estimate.parts))
        return replace(self, frame=replace(self.frame, cloud=None), estimate=estimate)


def seconds_of(header: Header) -> float:
    """Stamp of a header, s."""
    return float(header.stamp.sec + 1e-9 * header.stamp.nanosec)
