"""The cameras of the browsers that show a page: they look at the objects until the user acts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

FOV = 0.8
"""Vertical field of view of the page, rad. Chosen."""

OPTICAL_EYE, Z_UP_EYE = (0.45, -0.55, -0.75), (0.8, -0.6, 0.6)
"""Direction from the objects to the page's camera, in optical frames and in frames with z up."""

MARGIN, LEAST_SHARE = 1.15, 0.5
"""The camera is aimed so that a sphere this many times as large as the objects' just fits. It is
aimed anew when they reach out of that, or shrink to this share of what they were. Chosen."""

REMEMBERED = 4
"""Positions given to a camera that still count as given: a browser reports its camera late.
Chosen."""

SAME_PLACE = 0.01
"""Positions differ by less than this share of the distance to the objects: the same. Chosen."""


@dataclass(frozen=True)
class Sphere:
    """A sphere around all that is looked at: centre (3,) in the fixed frame, and radius, m."""

    centre: np.ndarray
    radius: float

    @classmethod
    def around(cls, points: np.ndarray) -> Sphere:
        """About the smallest sphere around points (N, 3), N ≥ 1."""
        centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
        return cls(centre, float(np.linalg.norm(points - centre, axis=1).max()))

    def frames(self, other: Sphere) -> bool:
        """Whether a camera that is aimed at this sphere shows the other one well."""
        reach = float(np.linalg.norm(other.centre - self.centre)) + other.radius
        return reach <= MARGIN * self.radius and other.radius >= LEAST_SHARE * self.radius


class PageCameras:
    """Aims the camera of each browser at the objects.

    A browser's camera is moved again only as long as its user has not moved it. All calls come
    from one thread.

    Args:
        server: the viser server.
        z_up: the z axis of the fixed frame points upward; otherwise the frame is optical.
    """

    def __init__(self, server: Any, z_up: bool) -> None:
        self._server = server
        eye = np.array(Z_UP_EYE if z_up else OPTICAL_EYE)
        self._direction = eye / np.linalg.norm(eye)
        self._sphere: Sphere | None = None
        self._given: dict[int, deque[np.ndarray]] = {}
        server.initial_camera.fov = FOV

    @property
    def aimed(self) -> bool:
        """Whether there was something to look at."""
        return self._sphere is not None

    def aim(self, sphere: Sphere | None) -> None:
        """Look at a sphere; None keeps the last one.

        Browsers that connected since the last call are aimed, too.
        """
        moved = sphere is not None and (self._sphere is None or not self._sphere.frames(sphere))
        if moved and sphere is not None:
            self._sphere = sphere
            self._server.initial_camera.position = self._eye(sphere, 1.0)
            self._server.initial_camera.look_at = sphere.centre
        if self._sphere is None:
            return
        clients = self._server.get_clients()
        self._given = {i: given for i, given in self._given.items() if i in clients}
        for number, client in clients.items():
            if number not in self._given or moved and self._is_untouched(number, client):
                self._move(number, client, self._sphere)

    def _move(self, number: int, client: Any, sphere: Sphere) -> None:
        given = self._given.setdefault(number, deque([client.camera.position], REMEMBERED))
        eye = self._eye(sphere, client.camera.aspect)
        given.append(eye)
        client.camera.position, client.camera.look_at = eye, sphere.centre

    def _is_untouched(self, number: int, client: Any) -> bool:
        """Whether a browser's camera is where it was put."""
        assert self._sphere is not None
        near = SAME_PLACE * self._sphere.radius / np.sin(FOV / 2)
        return any(np.linalg.norm(client.camera.position - given) < near
                   for given in self._given[number])

    def _eye(self, sphere: Sphere, aspect: float) -> np.ndarray:
        """Position from which the sphere fills a page of an aspect (width / height)."""
        half = np.arctan(np.tan(FOV / 2) * min(aspect, 1.0))
        return np.asarray(sphere.centre
                          + MARGIN * sphere.radius / np.sin(half) * self._direction)
