"""An object is opened in PyBullet; skipped without it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pybullet = pytest.importorskip('pybullet', reason="needs PyBullet: pip install '.[examples]'")

from floating_gripper import FloatingGripper  # noqa: E402
from guidance import TrueGuide, Unseen  # noqa: E402
from opening import Opener, OpeningConfig  # noqa: E402
from simulated_object import SimulatedObject  # noqa: E402
from world import STEPS_PER_SECOND, World  # noqa: E402

from kinediff3d_core.simulation.render import render_depth  # noqa: E402


@pytest.fixture(scope='module')
def thing(tmp_path_factory):
    """A stapler and its URDF."""
    one = SimulatedObject.sample('stapler', 0, 1)
    return SimpleNamespace(object=one, urdf=one.write(tmp_path_factory.mktemp('stapler')))


@pytest.fixture
def world(thing):
    with World(thing.object, thing.urdf, 0) as simulated:
        yield simulated


def test_the_object_stays_as_it_is(world):
    for _ in range(STEPS_PER_SECOND):
        world.step()
    assert abs(world.opened) < 0.01


def test_depth_is_that_of_the_projects_renderer(world):
    one = world.thing.scene
    exact, part = render_depth(one.instances, torch.from_numpy(world.thing.start)[None].float(),
                               one.T_camera_base, one.intrinsics)
    view = world.view()
    both = view.mask & (view.depth > 0) & (part[0].numpy() >= 0)
    assert both.sum() > 0.8 * (part[0] >= 0).sum()
    assert abs(np.median(view.depth[both] - exact[0].numpy()[both])) < 1e-3


def test_the_hand_goes_where_it_is_pulled(world):
    T = np.eye(4)
    T[:3, 3] = 0.0, 0.0, 1.0
    gripper = FloatingGripper(world.client, T, 20.0)
    goal = T.copy()
    goal[:3, 3] += 0.02, 0.0, -0.01
    gripper.move_to(goal)
    for _ in range(STEPS_PER_SECOND):
        world.step()
    np.testing.assert_allclose(gripper.pose[:3, 3], goal[:3, 3], atol=2e-3)


def test_the_true_guide_opens_it(world):
    story = Opener(world, TrueGuide(world.thing)).open()
    assert story.reason == 'arrived' and story.opened > 0.95, story


def test_the_weight_of_the_hand_is_borne(world):
    T = np.eye(4)
    T[:3, 3] = 0.0, 0.0, 1.0
    gripper = FloatingGripper(world.client, T, 1.0)
    for _ in range(STEPS_PER_SECOND):
        gripper.carry()
        world.step()
    np.testing.assert_allclose(gripper.pose[:3, 3], T[:3, 3], atol=1e-3)


def test_fingers_are_coupled(world):
    T = np.eye(4)
    T[:3, 3] = 0.0, 0.0, 1.0
    gripper = FloatingGripper(world.client, T, 5.0)
    gripper.open(0.06)
    gripper.close()
    pybullet.setJointMotorControl2(gripper.body, 1, pybullet.VELOCITY_CONTROL, force=0.0,
                                   physicsClientId=world.client)
    for _ in range(STEPS_PER_SECOND // 10):
        gripper.carry()
        world.step()
    left, right = (pybullet.getJointState(gripper.body, i, world.client)[0] for i in (0, 1))
    assert left < 0.025 and abs(left - right) < 1e-3


def test_a_part_that_is_thicker_than_it_seems_is_opened(world):
    class Thin(TrueGuide):
        def look(self, world):
            found = super().look(world)
            return replace(found, holds=tuple(
                replace(h, extents=h.extents * [0.1, 1, 1]) for h in found.holds))

    story = Opener(world, Thin(world.thing), OpeningConfig(attempts=1, margin=0.0)).open()
    assert story.opened > 0.95, story


def test_a_guide_that_sees_nothing_leaves_it_closed(world):
    class Blind:
        def look(self, world):
            raise Unseen('too few points')

    story = Opener(world, Blind(), OpeningConfig(blind_looks=2)).open()
    assert story.opened == pytest.approx(0.0, abs=0.01) and story.reason == 'too few points'


def test_a_part_that_seems_open_already_is_left_alone(world):
    """The perceived position may be at the limit: the path then has no length."""
    class Open(TrueGuide):
        def look(self, world):
            found = super().look(world)
            return replace(found, path=np.repeat(found.path[-1:], len(found.path), axis=0))

    story = Opener(world, Open(world.thing)).open()
    assert story.reason == 'the part seems to be open' and story.opened == pytest.approx(0.0)
