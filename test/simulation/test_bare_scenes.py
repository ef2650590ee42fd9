"""Rooms without any object."""

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.bare_scenes import RoomRange, bare_room

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)
LEVEL = RoomRange(pitch=(0.0, 0.0), desk=(0.4, 0.4), wall=(2.0, 2.0), slant=(0.0, 0.0),
                  boards=(0, 0))


def test_a_room_has_a_desk_before_a_wall():
    """The wall is 2 m away; 30 rows below the centre, the desk is 0.4 m below and 2 m away."""
    depth = bare_room(0, 0, CAMERA, LEVEL)
    assert depth.shape == (120, 160) and depth.dtype == np.float32
    above, below = depth[:80], depth[110]
    assert abs(np.median(above[above > 0]) - 2.0) < 0.02
    assert abs(np.median(below[below > 0]) - 0.4 * 150 / 50.5) < 0.02


def test_a_camera_that_looks_down_sees_more_of_the_desk():
    def near(pitch):
        depth = bare_room(0, 0, CAMERA, RoomRange(
            pitch=(pitch, pitch), desk=(0.4, 0.4), wall=(2.0, 2.0), slant=(0.0, 0.0),
            boards=(0, 0)))
        return np.mean((depth > 0) & (depth < 1.2))

    assert near(0.6) > near(0.2) > near(0.0)


def test_rooms_differ_and_are_the_same_every_time():
    rooms = [bare_room(1, i, CAMERA) for i in (0, 1, 0)]
    np.testing.assert_array_equal(rooms[0], rooms[2])
    assert (rooms[0] != rooms[1]).mean() > 0.5


def test_boards_stand_before_the_wall():
    kind = RoomRange(pitch=(0.0, 0.0), desk=(0.9, 0.9), wall=(2.5, 2.5), slant=(0.0, 0.0),
                     boards=(3, 3), distance=(0.8, 0.9))
    depth = bare_room(0, 0, CAMERA, kind)
    assert ((depth > 0.4) & (depth < 1.3)).mean() > 0.05
