"""Interface through which a scene publishes one object."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.scene.frames import FrameHeader


class ObjectPublisher(Protocol):
    """Publishes estimates of one object.

    Attributes:
        name: of the object, as messages and frames carry it.
        category: its category; ``auto`` until a full estimate has determined it.
        warning: what of the estimates cannot be published, and why; '' if there is nothing.
    """

    name: str
    category: str

    @property
    def warning(self) -> str: ...

    def set_category(self, category: str) -> None:
        """Withdraw what is shown; use the names of a category's parts and joints from now on."""

    def prepare(self, estimate: ArticulatedEstimate) -> None:
        """Compute what the meshes need before they are published; on any thread."""

    def publish(self, estimate: ArticulatedEstimate, header: FrameHeader, points: np.ndarray,
                T_fixed_camera: np.ndarray | None, shape_changed: bool) -> None:
        """Publish the estimate of one frame.

        Args:
            points: (N, 3) measured on the object, camera frame, m.
            T_fixed_camera: (4, 4) pose of the camera under ``fixed_frame``, if that is set.
            shape_changed: the meshes or the joints' origins differ from the last ones.
        """

    def refresh(self) -> None:
        """Send what is due without a frame; called regularly, and after changes of parameters."""

    def clear(self) -> None:
        """Withdraw what is shown; the next estimate is published as that of a new object."""
