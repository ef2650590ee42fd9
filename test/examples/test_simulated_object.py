"""Objects that the example opens."""

import numpy as np
import pytest
from simulated_object import START_SHARE, START_SHARES, SimulatedObject


@pytest.mark.parametrize('category', ['laptop', 'drawer', 'eyeglasses'])
def test_one_joint_is_a_little_open_and_the_others_are_closed(category):
    thing = SimulatedObject.sample(category, 0, 2)
    lower, upper = thing.limits
    share = (thing.start[thing.joint] - lower) / (upper - lower)
    assert share == pytest.approx(START_SHARES.get(category, START_SHARE), abs=1e-6)
    others = [i for i in thing.scene.joints if i != thing.joint]
    np.testing.assert_allclose(thing.start[others],
                               thing.scene.instances.lower[0, others].numpy())


def test_the_same_number_is_the_same_object():
    first, again, other = (SimulatedObject.sample('box', 0, n) for n in (1, 1, 2))
    assert first.limits == again.limits and not np.allclose(
        first.T_camera_base, other.T_camera_base)
    np.testing.assert_array_equal(first.T_camera_base, again.T_camera_base)


def test_an_unknown_category_is_refused():
    with pytest.raises(ValueError, match='labtop'):
        SimulatedObject.sample('labtop', 0, 0)


def test_the_truth_as_an_estimate():
    thing = SimulatedObject.sample('eyeglasses', 0, 0)
    estimate = thing.estimate(thing.start)
    assert [p.name for p in estimate.parts] == ['base', 'leg_left', 'leg_right']
    assert thing.part == 'leg_left' and thing.joint_name == estimate.joints[0].name
    np.testing.assert_allclose(estimate.T_camera_base, thing.T_camera_base, atol=1e-6)
    assert estimate.joints[0].position == pytest.approx(thing.start[0])
    assert all(len(p.mesh.faces) > 100 for p in estimate.parts)


def test_the_urdf_has_the_meshes_as_collision_geometry_and_is_written_once(tmp_path):
    thing = SimulatedObject.sample('eyeglasses', 0, 0)
    path = thing.write(tmp_path)
    text = path.read_text()
    assert text.count('<collision concave="yes">') == 3
    assert len(list((tmp_path / 'meshes').iterdir())) == 3
    changed = path.stat().st_mtime_ns
    assert thing.write(tmp_path) == path and path.stat().st_mtime_ns == changed
