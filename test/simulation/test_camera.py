"""The simulated camera and its scenes."""

import numpy as np
import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.camera import (
    BORDER,
    IMAGES_PER_STATE,
    SimulatedCamera,
    SimulatedScene,
)
from kinediff3d_core.simulation.views import posed_corners

CAMERA = Intrinsics(75.0, 75.0, 39.5, 29.5, 80, 60)
STATES = 5


@pytest.fixture(scope='module')
def scene():
    return SimulatedScene.sample('laptop', 3, 1, CAMERA, states=STATES)


@pytest.fixture(scope='module')
def exact(scene):
    return SimulatedCamera(scene, noise=False)


def test_the_seed_and_the_number_decide_the_object(scene):
    again = SimulatedScene.sample('laptop', 3, 1, CAMERA, states=STATES)
    other = SimulatedScene.sample('laptop', 3, 2, CAMERA, states=STATES)
    assert torch.equal(scene.instances.centre, again.instances.centre)
    assert torch.equal(scene.T_camera_base, again.T_camera_base)
    assert not torch.equal(scene.instances.half, other.instances.half)
    with pytest.raises(ValueError, match='chair'):
        SimulatedScene.sample('chair', 3, 1, CAMERA)


def test_states_go_from_one_limit_to_the_other(scene):
    assert scene.positions.shape == (STATES, 1)
    steps = scene.positions.diff(dim=0)
    torch.testing.assert_close(steps, steps[:1].expand_as(steps))
    single = SimulatedScene.sample('laptop', 3, 1, CAMERA, states=1)
    torch.testing.assert_close(single.positions, scene.positions[STATES // 2:STATES // 2 + 1])


@pytest.mark.parametrize('category', ['laptop', 'drawer'])
def test_every_state_is_inside_the_image(category):
    for number in range(4):
        scene = SimulatedScene.sample(category, 5, number, CAMERA, states=3)
        corners = torch.cat([posed_corners(scene.instances, q[None], scene.T_camera_base)
                             for q in scene.positions])
        x, y = (CAMERA.fx * corners[..., i] / corners[..., 2] for i in range(2))
        assert (x.abs() < 39.5 - BORDER).all() and (y.abs() < 29.5 - BORDER).all()


def test_the_motion_goes_to_the_other_end_and_back(scene, exact):
    phases = [exact.frame(i / 8).positions[0] for i in range(9)]
    expected = [scene.positions[i, 0].double().item() for i in (0, 1, 2, 3, 4, 3, 2, 1, 0)]
    assert phases == expected
    assert exact.frame(1.25).positions[0] == exact.frame(0.25).positions[0]


def test_images_are_of_the_state_that_they_name(exact, scene):
    first, last = exact.state(0), exact.state(STATES - 1)
    assert first.depth.shape == first.mask.shape == (60, 80)
    assert not np.array_equal(first.depth, last.depth)
    assert ((first.depth > 0) == first.mask).all() and first.mask.sum() > 50
    assert first.T_camera_base.dtype == np.float64
    np.testing.assert_allclose(first.T_camera_base, scene.T_camera_base[0].numpy())


def test_noisy_images_of_a_state_come_in_turn(scene):
    camera = SimulatedCamera(scene)
    images = [camera.state(1).depth for _ in range(2 * IMAGES_PER_STATE)]
    assert not np.array_equal(images[0], images[1])
    for a, b in zip(images, images[IMAGES_PER_STATE:], strict=False):
        assert np.array_equal(a, b)


def test_progress_reaches_the_number_of_states(scene):
    calls = []
    SimulatedCamera(scene, noise=False, progress=lambda *call: calls.append(call))
    assert calls[-1] == (STATES, STATES) and len(calls) == 2


def test_the_table_lies_under_the_object(scene, exact):
    image, bare = SimulatedCamera(scene, table=True, noise=False).state(0), exact.state(0)
    table = (image.depth > 0) & ~image.mask
    assert table.sum() > 200 and (image.mask <= bare.mask).all()
    np.testing.assert_array_equal(image.depth[image.mask], bare.depth[image.mask])
    v, u = np.nonzero(table)
    z = image.depth[v, u]
    points = np.stack([(u - 39.5) / 75 * z, (v - 29.5) / 75 * z, z], axis=-1)
    T = np.linalg.inv(image.T_camera_base)
    height = (points @ T[:3, :3].T + T[:3, 3])[:, 2]
    np.testing.assert_allclose(height, scene.instances.bounds[0, 0, 0, 2].item(), atol=1e-5)


def test_true_meshes_are_inside_the_boxes_of_their_parts(scene):
    q = scene.positions[2]
    meshes = scene.meshes(q.numpy(), voxel=0.01)
    assert len(meshes) == 2 and scene.joints == (0,)
    poses = scene.instances.part_poses(q[None], scene.T_camera_base)[0].double().numpy()
    for mesh, T, box in zip(meshes, poses, scene.instances.bounds[0].numpy(), strict=True):
        own = (mesh.vertices - T[:3, 3]) @ T[:3, :3]
        assert (own > box[0] - 0.012).all() and (own < box[1] + 0.012).all()
        assert (own.max(0) - own.min(0) > 0.8 * (box[1] - box[0]))[:2].all()


def test_only_parts_that_exist_have_meshes():
    scenes = (SimulatedScene.sample('drawer', 3, i, CAMERA, states=1) for i in range(9))
    scene = next(s for s in scenes if not s.instances.exists.all())
    count = int(scene.instances.exists[0].sum())
    assert len(scene.joints) == count - 1 < 4
    assert len(scene.meshes(scene.positions[0].numpy(), voxel=0.01)) == count
