"""URDFs simulate: they load, hold their joints still, and open when they are pushed."""

from pathlib import Path

import numpy as np
import pytest
from true_objects import coarse_object

from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.contact import contacts

MOST = {'revolute': np.deg2rad(1.0), 'prismatic': 2e-3}
"""Greatest motion of a joint at rest in a second, rad or m."""
CREEP = np.deg2rad(5.0)
"""Greatest motion against friction in a second of gravity: MuJoCo's friction is soft."""
PUSH = 2.0
"""Force at the contact, in terms of what holds the joint."""
MASSES = {'laptop': (0.8, 4.0), 'eyeglasses': (0.003, 0.1), 'dishwasher': (15.0, 80.0),
          'scissors': (0.03, 0.3), 'drawer': (5.0, 90.0), 'box': (0.05, 3.0),
          'stapler': (0.02, 0.6), 'cutter': (0.02, 0.4), 'cabinet': (5.0, 150.0)}
"""Masses of held-out objects, kg; they differ in size more than products do."""
BOX = 3
"""A box with walls that the voxels of a coarse mesh do not miss."""


@pytest.fixture(scope='module', params=CATEGORIES)
def written(request, tmp_path_factory):
    """A held-out object of a category and the path of its URDF."""
    estimate = coarse_object(request.param, BOX if request.param == 'box' else 2)
    return estimate, write_urdf(estimate, tmp_path_factory.mktemp(request.param))


def joint_named(estimate, joint):
    return f'{estimate.category}_{joint.name}'


def test_files(written):
    estimate, path = written
    text = path.read_text()
    assert f'<link name="{estimate.category}" />' in text, 'a root link without inertia'
    meshes = {p.name for p in (path.parent / 'meshes').iterdir()}
    assert all(f'filename="meshes/{name}"' in text for name in meshes)
    assert text.count('filename=') == len(meshes)


def test_a_second_run_leaves_no_collision_pieces_of_the_first(tmp_path):
    estimate = coarse_object('box', BOX)
    stale = tmp_path / 'meshes' / 'lid_collision_99.obj'
    stale.parent.mkdir()
    stale.write_text('')
    write_urdf(estimate, tmp_path)
    assert not stale.exists() and (tmp_path / 'meshes' / 'lid_collision_0.obj').exists()


class MuJoCo:
    """An object in MuJoCo, without gravity."""

    def __init__(self, estimate, path):
        self.mujoco = pytest.importorskip('mujoco')
        self.estimate = estimate
        self.model = self.mujoco.MjModel.from_xml_path(str(path))
        self.model.opt.gravity[:] = 0
        self.data = self.mujoco.MjData(self.model)

    def reset(self, positions):
        self.mujoco.mj_resetData(self.model, self.data)
        for joint, position in zip(self.estimate.joints, positions, strict=True):
            self.data.joint(joint_named(self.estimate, joint)).qpos[0] = position

    def step(self, seconds, contact=None, force=0.0):
        """Simulate; push at a contact along its x."""
        body = None if contact is None else self.data.body(
            f'{self.estimate.category}_{contact.part}')
        for _ in range(int(seconds / self.model.opt.timestep)):
            self.data.qfrc_applied[:] = 0
            if body is not None:
                R = body.xmat.reshape(3, 3)
                T = contact.T_part_contact
                self.mujoco.mj_applyFT(
                    self.model, self.data, force * R @ T[:3, 0], np.zeros(3),
                    body.xpos + R @ T[:3, 3], body.id, self.data.qfrc_applied)
            self.mujoco.mj_step(self.model, self.data)

    def positions(self):
        return np.array([self.data.joint(joint_named(self.estimate, j)).qpos[0]
                         for j in self.estimate.joints])

    def friction(self, joint):
        return float(self.model.joint(joint_named(self.estimate, joint)).frictionloss[0])


def states(estimate):
    """Joint positions, closed and as estimated, rad or m."""
    return [np.array([getattr(joint, name) for joint in estimate.joints])
            for name in ('lower', 'position')]


def test_joints_stay_where_they_are_in_mujoco(written):
    estimate, path = written
    simulation = MuJoCo(estimate, path)
    for start in states(estimate):
        simulation.reset(start)
        simulation.step(1.0)
        for joint, moved in zip(estimate.joints, simulation.positions() - start, strict=True):
            assert abs(moved) < MOST[joint.joint_type], joint.name


def test_a_lid_stays_open_in_mujoco(written):
    estimate, path = written
    simulation = MuJoCo(estimate, path)
    simulation.model.opt.gravity[2] = -9.81
    start = np.array([j.position for j in estimate.joints])
    simulation.reset(start)
    simulation.step(1.0)
    assert np.abs(simulation.positions() - start).max() < CREEP


def test_a_push_at_the_contact_opens_each_joint_in_mujoco(written):
    estimate, path = written
    simulation = MuJoCo(estimate, path)
    for i, (joint, contact) in enumerate(zip(estimate.joints, contacts(estimate), strict=True)):
        arm = 1.0 if joint.joint_type == 'prismatic' else float(
            np.linalg.norm(np.cross(joint.axis, contact.T_part_contact[:3, 3])))
        held = simulation.friction(joint) / arm
        for force, opens in ((0.5 * held, False), (PUSH * held, True)):
            simulation.reset(states(estimate)[0])
            simulation.step(1.5, contact, force)
            share = (simulation.positions()[i] - joint.lower) / (joint.upper - joint.lower)
            assert (share > 0.5) if opens else (share < 0.1), (joint.name, force, share)


def test_masses_are_those_of_products(written):
    estimate, path = written
    pin = pytest.importorskip('yourdfpy')
    links = pin.URDF.load(str(path), load_meshes=False).robot.links
    low, high = MASSES[estimate.category]
    assert low < sum(link.inertial.mass for link in links if link.inertial) < high


def test_bodies_hold_still_in_bullet(written):
    """PyBullet adds 1 mm around each piece, which small objects have no room for; it does not
    let a part hit its parent unless it is asked to."""
    bullet = pytest.importorskip('pybullet')
    estimate, path = written
    world = bullet.connect(bullet.DIRECT)
    try:
        flags = bullet.URDF_USE_SELF_COLLISION | bullet.URDF_USE_INERTIA_FROM_FILE
        if estimate.category in ('dishwasher', 'drawer', 'box'):
            flags |= bullet.URDF_USE_SELF_COLLISION_INCLUDE_PARENT
        body = bullet.loadURDF(str(path), useFixedBase=True, flags=flags)
        index = {bullet.getJointInfo(body, i)[1].decode(): i
                 for i in range(bullet.getNumJoints(body))}
        for start in states(estimate):
            for joint, position in zip(estimate.joints, start, strict=True):
                bullet.resetJointState(body, index[joint_named(estimate, joint)], position)
            for _ in range(240):
                bullet.stepSimulation()
            for joint, position in zip(estimate.joints, start, strict=True):
                found = bullet.getJointState(body, index[joint_named(estimate, joint)])[0]
                assert abs(found - position) < MOST[joint.joint_type], joint.name
    finally:
        bullet.disconnect(world)


def test_parts_do_not_touch_in_pinocchio(written):
    pin = pytest.importorskip('pinocchio')
    estimate, path = written
    model = pin.buildModelFromUrdf(str(path))
    shapes = pin.buildGeomFromUrdf(model, str(path), pin.GeometryType.COLLISION,
                                   package_dirs=[str(Path(path).parent)])
    shapes.addAllCollisionPairs()
    data, hits = model.createData(), pin.GeometryData(shapes)
    for start in states(estimate):
        q = np.zeros(model.nq)
        for joint, position in zip(estimate.joints, start, strict=True):
            q[model.joints[model.getJointId(joint_named(estimate, joint))].idx_q] = position
        pin.computeCollisions(model, data, shapes, hits, q, False)
        for pair, result in zip(shapes.collisionPairs, hits.collisionResults, strict=True):
            one, other = (shapes.geometryObjects[i] for i in (pair.first, pair.second))
            assert one.parentJoint == other.parentJoint or not result.isCollision(), (
                one.name, other.name)
