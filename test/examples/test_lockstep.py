"""Images and answers in lockstep, with a real node whose models answer at once."""

from types import SimpleNamespace

import numpy as np
import pytest
from instant_perception import instant_perception
from view import View

pytest.importorskip('rclpy', reason='needs ROS 2')

import lockstep  # noqa: E402
from guidance import Unseen, path_length  # noqa: E402
from perceived_guide import PerceivedGuide  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics  # noqa: E402
from kinediff3d_ros.tools.processes import private_graph  # noqa: E402

pytestmark = pytest.mark.ros

CAMERA = Intrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)


@pytest.fixture(scope='module')
def guide(tmp_path_factory):
    """A guide by a node that estimates the lid's angle as the depth."""
    folder = tmp_path_factory.mktemp('lockstep')
    patch = pytest.MonkeyPatch()
    patch.setattr(lockstep, 'RESEND_PERIOD', 2.0)
    for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', lockstep.TRANSPORTS[0]):
        patch.setenv(name, '')  # so that it is restored
        patch.delenv(name)
    private_graph()
    with instant_perception('/', folder / 'node.log', category='laptop', mask_mode='required',
                            description_dir=folder / 'descriptions'), \
            lockstep.Lockstep('laptop', None) as running:
        yield SimpleNamespace(
            look=PerceivedGuide(running, 'lid_joint', 'lid', CAMERA).look, restart=running.restart)
    patch.undo()


def seen(seconds, depth):
    """A world with an object at a depth, m."""
    image, mask = np.zeros((48, 64), np.float32), np.zeros((48, 64), bool)
    image[8:40, 8:50], mask[8:40, 8:50] = depth, True
    return SimpleNamespace(view=lambda: View(seconds, image, mask))


def test_each_view_is_answered_with_its_own_guidance(guide):
    lengths = [path_length(guide.look(seen(0.2 * i, depth)).path)
               for i, depth in enumerate((0.6, 0.9, 1.2))]
    np.testing.assert_allclose(np.diff(lengths, n=2), 0.0, atol=2e-3)
    assert np.diff(lengths).max() < -0.01, 'the path is shorter the farther the lid is open'


def test_holds_lie_where_the_path_begins(guide):
    found = guide.look(seen(1.0, 1.0))
    assert found.path.shape == (20, 4, 4)
    assert min(np.abs(h.T_camera_contact - found.path[0]).max() for h in found.holds) < 1e-6


def test_a_view_without_an_estimate_says_why_and_the_next_one_is_answered(guide):
    with pytest.raises(Unseen, match='too far'):
        guide.look(seen(2.0, 4.0))
    with pytest.raises(Unseen):
        guide.look(seen(2.2, 4.0))
    assert len(guide.look(seen(2.4, 1.0)).path) == 20


def test_two_views_of_the_same_time_are_both_answered(guide, monkeypatch):
    monkeypatch.setattr(lockstep, 'RESEND_PERIOD', 1e3)
    lengths = [path_length(guide.look(seen(5.0, depth)).path) for depth in (0.7, 1.1)]
    assert lengths[1] < lengths[0] - 0.01


def test_a_new_trial_begins_with_an_earlier_stamp(guide):
    guide.look(seen(9.0, 1.0))
    guide.restart()
    assert len(guide.look(seen(0.0, 0.8)).path) == 20


def test_what_fails_at_the_start_leaves_no_process_behind(tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError('every ROS domain is in use')

    monkeypatch.setattr(lockstep, 'Recorder', fail)
    monkeypatch.setattr(lockstep, 'private_graph', lambda: 1)
    monkeypatch.setattr(lockstep, 'NodeProcess', lambda *_, **__: pytest.fail('it was started'))
    with pytest.raises(RuntimeError, match='in use'):
        lockstep.Lockstep('laptop', tmp_path / 'node.log')
