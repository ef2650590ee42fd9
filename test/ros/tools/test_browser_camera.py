"""Where the cameras of the browsers look, with browsers that are plain objects."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kinediff3d_ros.tools.browser_camera import FOV, PageCameras, Sphere

START = np.array([3.0, 3.0, 3.0])


class Server:
    """Has the attributes of a viser server that cameras use."""

    def __init__(self, *aspects: float) -> None:
        self.initial_camera = SimpleNamespace()
        self.clients = {}
        for aspect in aspects:
            self.connect(aspect)

    def connect(self, aspect: float) -> SimpleNamespace:
        client = SimpleNamespace(camera=SimpleNamespace(position=START, look_at=None,
                                                        aspect=aspect))
        self.clients[len(self.clients)] = client
        return client.camera

    def get_clients(self):
        return dict(self.clients)


def shown_share(camera, sphere: Sphere) -> float:
    """Share of half the narrower side of the page that a sphere at its centre takes."""
    distance = np.linalg.norm(camera.position - sphere.centre)
    half = np.arctan(np.tan(FOV / 2) * min(getattr(camera, 'aspect', 1.0), 1.0))
    return float(np.arcsin(sphere.radius / distance) / half)


@pytest.mark.parametrize('radius', (0.02, 0.3, 1.5))
def test_a_browser_sees_the_objects_whenever_it_is_opened(radius: float) -> None:
    """Before the objects come and after that, in a wide and in a narrow window."""
    server = Server(1.6, 0.5)
    cameras, sphere = PageCameras(server, z_up=False), Sphere(np.array([0.1, 0.2, 0.9]), radius)
    cameras.aim(None)
    assert not cameras.aimed and server.clients[0].camera.position is START
    cameras.aim(sphere)
    late = server.connect(1.0)
    cameras.aim(None)
    for camera in (*(c.camera for c in server.clients.values()), late, server.initial_camera):
        np.testing.assert_allclose(camera.look_at, sphere.centre)
        assert 0.85 < shown_share(camera, sphere) < 1.0


def test_the_camera_follows_until_the_user_moves_it() -> None:
    server = Server(1.0, 1.0)
    cameras = PageCameras(server, z_up=True)
    first, far = (Sphere(np.array([x, 0.0, 1.0]), 0.2) for x in (0.0, 1.0))
    cameras.aim(first)
    mine, other = (c.camera for c in server.clients.values())
    mine.position = mine.position + 0.1
    cameras.aim(Sphere(first.centre + 0.01, 0.2))
    np.testing.assert_allclose(other.look_at, first.centre)  # still well in sight
    other.position = START  # a browser reports late where its camera was
    cameras.aim(far)
    np.testing.assert_allclose(mine.look_at, first.centre)
    np.testing.assert_allclose(other.look_at, far.centre)
    np.testing.assert_allclose(server.initial_camera.look_at, far.centre)


def test_a_sphere_is_around_its_points() -> None:
    corners = np.array(np.meshgrid((0, 1), (0, 1), (0, 1))).reshape(3, -1).T.astype(float)
    sphere = Sphere.around(corners)
    np.testing.assert_allclose(sphere.centre, 0.5)
    assert sphere.radius == pytest.approx(np.sqrt(3) / 2)
    assert sphere.frames(sphere) and not sphere.frames(Sphere(sphere.centre + 1, sphere.radius))
    assert not sphere.frames(Sphere(sphere.centre, 0.1))
