"""The topic ``robot_description`` of one object."""

from __future__ import annotations

import threading
import time

from rclpy.publisher import Publisher
from std_msgs.msg import String

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.nodes.output_context import OutputContext
from kinediff3d_ros.scene.description import DescriptionFiles
from kinediff3d_ros.scene.frames import FrameHeader

RETRY_PERIOD = 10.0
"""Time after which a description is tried again that could not be written, s. Chosen."""


class DescriptionOutput:
    """Writes and publishes the URDF when the shape has changed, at most once per period.

    Collision geometry and files take up to seconds, so that the context's worker makes them.
    Anything else of a frame is published meanwhile, also when the files cannot be written.

    Attributes:
        warning: why the newest description could not be written; '' while there is no reason.
    """

    def __init__(self, context: OutputContext, publisher: Publisher, name: str,
                 files: DescriptionFiles) -> None:
        self._context, self._publisher, self._name = context, publisher, name
        self._files = files
        self.warning = ''
        # Held for the fields below, and while the worker publishes.
        self._lock = threading.Lock()
        self._due, self._outdated, self._generation = 0.0, False, 0

    def update(self, estimate: ArticulatedEstimate, header: FrameHeader,
               shape_changed: bool) -> None:
        """Let the worker describe an estimate if that is due."""
        parameters = self._context.parameters()
        with self._lock:
            self._outdated |= shape_changed
            now = time.monotonic()
            if not (self._outdated and parameters.publish_meshes) or now < self._due:
                return
            period = parameters.description_period
            self._due = now + period if period > 0 else float('inf')
            self._outdated = False
            generation = self._generation
        self._context.worker.submit(
            lambda: self._describe(estimate, header, generation), self._name)

    def clear(self) -> None:
        """Publish nothing that waits or is in work; the next estimate is described at once."""
        with self._lock:
            self._generation += 1
            self._due, self._outdated = 0.0, False

    def close(self) -> None:
        """Publish nothing any more; the files are deleted after a time."""
        self.clear()
        self._files.retire()

    def _describe(self, estimate: ArticulatedEstimate, header: FrameHeader,
                  generation: int) -> None:
        """Write the files and publish the URDF; on the worker."""
        if generation != self._generation:
            return
        parameters = self._context.parameters()
        try:
            text = self._files.write(estimate, header.stamp_text('-'), parameters.mesh_uri,
                                     parameters.collision_pieces)
        except OSError as error:
            self._failed(error, generation)
            return
        self.warning = ''
        with self._lock:
            if generation == self._generation:
                self._publisher.publish(String(data=text))

    def _failed(self, error: OSError, generation: int) -> None:
        """Warn, and try again later."""
        self.warning = (f'robot_description of {self._name} cannot be written: '
                        f'{error.strerror or error}' + (
                            f' ({error.filename})' if error.filename else ''))
        self._context.warn(self.warning)
        with self._lock:
            if generation == self._generation:
                self._outdated, self._due = True, time.monotonic() + RETRY_PERIOD
