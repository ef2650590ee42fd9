"""Interface of the program that runs a scene."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np

from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.scene.scene_object import SceneObject


class SceneHost(Protocol):
    """Provides parameters, objects and camera poses; logs and reports. Called on any thread.

    Attributes:
        lock: held while objects are made or removed, and while anything is published, withdrawn or
            reported (docs/architecture.md, "Threads and locks").
        health: of the whole scene.
        objects: those that exist, by mask id.
    """

    lock: threading.RLock
    health: Health
    objects: dict[int, SceneObject]

    @property
    def parameters(self) -> PerceptionParameters:
        """The present parameters."""

    def make_object(self, number: int, category: str = '') -> SceneObject | None:
        """Return the object of a mask id, made if it is new; None if there may be no more.

        Args:
            category: of a new object, by a detector; ``objects`` comes before it.
        """

    def remove_object(self, number: int) -> None:
        """Remove the object of a mask id with its publishers; called on the host's own thread."""

    def camera_pose(self, header: FrameHeader) -> np.ndarray | None:
        """Return T_fixed_camera (4, 4) at a header's stamp; None without ``fixed_frame``.

        Raises:
            NoEstimate: the pose is not known.
        """

    def end_frame(self, header: FrameHeader, late: bool) -> None:
        """Publish what is about all objects of a frame together.

        Args:
            late: the frame was published before without an object that is new in it.
        """

    def age(self, header: FrameHeader) -> float:
        """Return the time since a header's stamp, s."""

    def log(self, state: str, message: str) -> None:
        """Log a message about a state."""

    def report(self) -> None:
        """Publish diagnostics of all objects if a state has changed."""
