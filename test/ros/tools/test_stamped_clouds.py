"""Which cloud is shown: the newest one with poses of its stamp."""

from __future__ import annotations

from kinediff3d_ros.tools.stamped_clouds import KEPT_CLOUDS, POSE_WAIT, STOPPED, StampedClouds

SECOND = 10**9


def test_the_newest_cloud_with_poses_is_shown() -> None:
    clouds = StampedClouds()
    assert clouds.choose(lambda stamp: True, 0.0) is None and clouds.stamp(0.0) is None
    for i in range(1, 4):
        clouds.add(f'cloud {i}', i * SECOND, 0.01 * i)
    assert clouds.choose(lambda stamp: stamp <= 2 * SECOND, 0.04) == 'cloud 2'
    assert clouds.stamp(0.04) == 2 * SECOND and not clouds.up_to_date
    assert clouds.choose(lambda stamp: stamp <= 2 * SECOND, 0.05) is None, 'shown already'
    assert clouds.choose(lambda stamp: True, 0.06) == 'cloud 3'
    assert clouds.up_to_date


def test_a_cloud_without_poses_is_shown_after_a_while() -> None:
    """One of several objects gets a full estimate: the others go on, a little later."""
    clouds, shown = StampedClouds(), []
    step = POSE_WAIT / 8
    for i in range(40):
        now = step * i
        clouds.add(i, i * SECOND, now)
        shown.append(clouds.choose(lambda stamp: False, now))
    assert shown[:8] == [None] * 8
    assert shown[8:] == list(range(32))


def test_more_points_of_the_shown_stamp_replace_it_and_older_ones_do_not() -> None:
    clouds = StampedClouds()
    clouds.add('one object', SECOND, 0.0)
    assert clouds.choose(lambda stamp: True, 0.0) == 'one object'
    clouds.add('two objects', SECOND, 0.1)
    assert clouds.choose(lambda stamp: True, 0.1) == 'two objects'
    assert not clouds.add('late', SECOND // 2, 0.2)
    assert clouds.choose(lambda stamp: True, 0.2) is None
    assert clouds.add('after a reset of the clock', 0, 0.3)
    assert clouds.choose(lambda stamp: True, 0.3) == 'after a reset of the clock'


def test_without_new_clouds_the_newest_poses_are_shown() -> None:
    clouds = StampedClouds()
    clouds.add('last', SECOND, 0.0)
    clouds.choose(lambda stamp: True, 0.0)
    assert clouds.stamp(STOPPED - 0.1) == SECOND and clouds.stamp(STOPPED + 0.1) is None
    clouds.clear()
    assert clouds.stamp(0.0) is None


def test_few_clouds_wait() -> None:
    clouds = StampedClouds()
    for i in range(10 * KEPT_CLOUDS):
        clouds.add(i, i, 0.0)
    assert clouds.choose(lambda stamp: stamp <= 9 * KEPT_CLOUDS, 0.0) == 9 * KEPT_CLOUDS
    assert clouds.choose(lambda stamp: stamp < 9 * KEPT_CLOUDS, 0.0) is None
