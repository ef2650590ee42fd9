"""One object in one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinediff3d_core.observation.cloud import DepthView, ObjectCloud
from kinediff3d_core.observation.segmentation import Candidate
from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.scene.object_clouds import UnmaskedView


@dataclass(frozen=True)
class ObjectView:
    """What one frame shows of one object.

    Attributes:
        cloud: measured points on the object and beside it, camera frame, m; or the whole image of
            a frame without a mask, or with a bounding box, in which tracking finds them. Where it
            is an :class:`UnmaskedView`, full estimates find the object, too.
        T_fixed_camera: (4, 4) pose of the camera under ``fixed_frame``; None without one.
        begin: ``time.perf_counter()`` at the start of the work on the frame.
        epoch: of the scene's objects at that time.
        stage_seconds: wall time of the stages before tracking, s.
    """

    header: FrameHeader
    cloud: ObjectCloud | DepthView
    T_fixed_camera: np.ndarray | None
    begin: float
    epoch: int
    stage_seconds: dict[str, float]

    @property
    def seconds(self) -> float:
        """Stamp of the frame, s."""
        return self.header.seconds

    @property
    def initializes(self) -> bool:
        """Whether it gives a full estimate of an object that is not tracked."""
        return isinstance(self.cloud, (ObjectCloud, UnmaskedView))

    def candidates(self) -> list[Candidate]:
        """The things that may be the object, best first; NoEstimate if there is none."""
        if isinstance(self.cloud, UnmaskedView):
            return self.cloud.candidates()
        assert isinstance(self.cloud, ObjectCloud)
        return [Candidate(self.cloud)]
