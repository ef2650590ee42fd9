"""Look-ups in the TF of a recording."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.tools.bag_transforms import RecordedTransforms


def transform(parent: str, child: str, x: float, turn: float = 0.0, stamp: int = 0):
    """A TransformStamped that moves along x and turns about z, degrees."""
    q = Rotation.from_euler('z', turn, degrees=True).as_quat()
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=0, nanosec=stamp)),
        child_frame_id=child, transform=SimpleNamespace(
            translation=SimpleNamespace(x=x, y=0.0, z=0.0),
            rotation=SimpleNamespace(x=q[0], y=q[1], z=q[2], w=q[3])))


def test_chains_are_followed_and_moving_frames_interpolated() -> None:
    tree = RecordedTransforms()
    tree.add([transform('/base', '/depth', 1.0), transform('base', 'arm', 2.0)], static=True)
    tree.add([transform('arm', 'colour', 0.0, 0.0, 100), transform('arm', 'colour', 4.0, 90, 300)],
             static=False)
    T = tree.look_up('depth', FrameHeader(200, 'colour'), 'the frame')
    np.testing.assert_allclose(T[:3, 3], [2 + 2 - 1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(
        T[:3, :3], Rotation.from_euler('z', 45, degrees=True).as_matrix(), atol=1e-12)
    back = tree.look_up('colour', FrameHeader(200, 'depth'), 'the frame')
    np.testing.assert_allclose(back @ T, np.eye(4), atol=1e-12)
    np.testing.assert_array_equal(tree.look_up('x', FrameHeader(0, 'x'), ''), np.eye(4))


@pytest.mark.parametrize(('stamp', 'source'), [(99, 'colour'), (301, 'colour'), (200, 'other')])
def test_what_is_not_recorded_is_no_estimate(stamp: int, source: str) -> None:
    tree = RecordedTransforms()
    tree.add([transform('base', 'colour', 0.0, 0, 100), transform('base', 'colour', 1, 0, 300)],
             static=False)
    with pytest.raises(NoEstimate, match=f'{source} in the frame base is not known'):
        tree.look_up('base', FrameHeader(stamp, source), 'the frame')


def test_odd_transforms_do_no_harm() -> None:
    """A loop, a quaternion of zeros, numbers that are not finite, a frame that is its parent."""
    tree = RecordedTransforms()
    tree.add([transform('a', 'b', 0), transform('b', 'a', 0), transform('c', 'c', 0),
              transform('d', 'e', np.nan)], static=True)
    zero = transform('f', 'g', 0)
    zero.transform.rotation = SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0)
    tree.add([zero], static=True)
    for source, target in (('a', 'x'), ('c', 'x'), ('e', 'd'), ('g', 'f')):
        with pytest.raises(NoEstimate):
            tree.look_up(target, FrameHeader(0, source), 'x')


def test_old_transforms_are_forgotten() -> None:
    tree = RecordedTransforms()
    for second in range(30):
        moved = transform('a', 'b', second)
        moved.header.stamp.sec = second
        tree.add([moved], static=False)
    tree.look_up('a', FrameHeader(20 * 10**9, 'b'), '')
    with pytest.raises(NoEstimate):
        tree.look_up('a', FrameHeader(18 * 10**9, 'b'), '')
