"""One frame of a recording, and its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_ros.scene.frames import NANOSECONDS, FrameHeader
from kinediff3d_ros.scene.object_clouds import UnmaskedView


@dataclass(frozen=True)
class ReplayFrame:
    """The object in one frame.

    Attributes:
        header: of the image or the cloud.
        recorded: time of the recording, ns.
        cloud: the points on it; the whole image without a mask; None if the frame shows no object.
        reason: why there is no cloud.
        restarts: its stamp is far before that of the last frame: another sequence begins.
    """

    header: FrameHeader
    recorded: int
    cloud: ObjectCloud | UnmaskedView | None
    reason: str = ''
    restarts: bool = False


@dataclass(frozen=True)
class RecordedPositions:
    """Joint positions (rad or m) by joint, and their stamp, ns."""

    nanoseconds: int
    positions: dict[str, float]


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
        seconds, rest = divmod(self.frame.header.nanoseconds, NANOSECONDS)
        return {'stamp': {'sec': seconds, 'nanosec': rest},
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
