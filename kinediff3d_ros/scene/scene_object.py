"""One object of a scene: its publisher, its trackers and its pending work."""

from __future__ import annotations

import threading
import time

from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.tracking.tracker import Tracker
from kinediff3d_ros.scene.estimate_requests import EstimateRequest
from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.object_publisher import ObjectPublisher


class SceneObject:
    """One object, by its mask id; 0 is the only object of a scene without ids.

    Attributes:
        requested_category: the category to estimate, or ``auto``.
        tracker: tracks it. candidate: a tracker from a newer full estimate, which replaces it if
            it explains the next frame better. lost: the tracker that has lost the object; it tries
            to track the next frames, and competes with that of the full estimate that follows.
        tracking_lock: held while its trackers work.
        last_full_estimate: time of the last full estimate. last_seen: time of the last frame that
            shows it. Both monotonic, s.
        found: segmentation has found it, no mask.
        estimated: time of its last published estimate, monotonic, s.
        published: stamp of the last published estimate, s.
        published_parts: those of that one, and whether they had a mesh.
        shape_changed: whether the next published meshes differ from the last ones.
        meshes: those of the last full estimate that made meshes, by part.
        meshes_due: monotonic time from which on meshes are made again, s.
    """

    def __init__(self, number: int, publisher: ObjectPublisher, health: Health) -> None:
        self.number, self.publisher, self.health = number, publisher, health
        self.requested_category = publisher.category
        self.tracker: Tracker | None = None
        self.candidate: Tracker | None = None
        self.lost: Tracker | None = None
        self._requests: list[EstimateRequest] = []
        self._requests_lock = threading.Lock()
        self.tracking_lock = threading.RLock()
        self.last_full_estimate = self.published = self.estimated = -float('inf')
        self.found = False
        self.published_parts: dict[str, bool] = {}
        self.last_seen = time.monotonic()
        self.clear()

    @property
    def name(self) -> str:
        """Name of the object, as messages and frames carry it."""
        return self.publisher.name

    @property
    def category(self) -> str:
        """Its category; ``auto`` until a full estimate has determined it."""
        return self.publisher.category

    @property
    def is_requested(self) -> bool:
        """Whether a request waits for its next full estimate."""
        return bool(self._requests)

    def add_request(self, request: EstimateRequest) -> None:
        """Let its next full estimate answer a request, beside those that wait already."""
        with self._requests_lock:
            self._requests.append(request)

    def take_requests(self) -> list[EstimateRequest]:
        """Return the requests that wait for a full estimate; whoever takes them answers them."""
        with self._requests_lock:
            taken, self._requests = self._requests, []
            return taken

    def answer(self, requests: list[EstimateRequest], success: bool, line: str) -> None:
        """Add the result of this object to requests."""
        for request in requests:
            request.add_result(self.number, success, f'{self.name}: {line}')

    def drop_trackers(self) -> None:
        """End tracking; the next frame gets a full estimate."""
        self.tracker = self.candidate = self.lost = None

    def competitors(self, seconds: float) -> tuple[Tracker | None, Tracker | None]:
        """Return the tracker of a frame, and one of a newer full estimate that may replace it."""
        if self.lost is not None:
            return self.lost, self.tracker
        ready = self.candidate is not None and seconds > self.candidate.seconds
        return self.tracker, self.candidate if ready else None

    def restart(self) -> None:
        """End tracking and forget all stamps: those that follow may be earlier."""
        self.drop_trackers()
        self.published = -float('inf')

    def clear(self) -> None:
        """Withdraw what is shown of the object and discard its meshes."""
        self.publisher.clear()
        self.meshes_due = 0.0
        self.meshes: dict[str, Mesh | None] = {}
        self.shape_changed = True
