"""Objects from URDF folders, made here; nothing third-party."""

import math

import numpy as np
import pytest
import torch
import trimesh
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.data import mesh_objects as O
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.simulation.views import TEST_CAMERA

pytest.importorskip('open3d', exc_type=ImportError)

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / 'laptop_mine'
    write_urdf(laptop_estimate(), out)
    return out


def edit(folder, old, new):
    path = folder / 'object.urdf'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_object_that_was_written_here(folder):
    e, got = laptop_estimate(), O.load_object(folder)
    assert (got.name, got.category, got.parts) == ('laptop_mine', 'laptop', ('base', 'lid'))
    np.testing.assert_allclose(got.origin[0], e.joints[0].origin, atol=1e-6)
    np.testing.assert_allclose(got.axis[0], e.joints[0].axis, atol=1e-6)
    assert got.lower[0] == 0.0 and got.upper[0] == pytest.approx(math.pi)
    for part, mesh in zip(e.parts, got.meshes, strict=True):
        np.testing.assert_allclose(mesh.vertices.min(0), part.mesh.vertices.min(0), atol=1e-6)
    T = torch.from_numpy(e.T_camera_base)
    poses = got.part_poses(torch.tensor([e.joints[0].position], dtype=torch.float64), T)
    np.testing.assert_allclose(poses[1], e.parts[1].T_camera_part, atol=1e-6)


def test_frames_are_made_canonical(folder):
    """Offsets in visuals, rotated joints, fixed links and an off-centre root change nothing."""
    want = O.load_object(folder)
    turn = trimesh.transformations.euler_matrix(0.3, -0.2, 0.5, 'sxyz')[:3, :3]
    for name, rotation, shift in (('base', np.eye(3), (0.5, 0, 0)), ('lid', turn.T, (0, 0, 0))):
        path = folder / 'meshes' / f'{name}.obj'
        mesh = trimesh.load(path)
        mesh.vertices = mesh.vertices @ rotation.T + shift
        mesh.export(path)
    edit(folder, '<origin xyz="-0.11 0 0.01" rpy="0 0 0" />',
         '<origin xyz="0.39 0 0.01" rpy="0.3 -0.2 0.5" />')
    axis = ' '.join(f'{x:.9f}' for x in turn.T @ (0, -1, 0))
    edit(folder, '<axis xyz="0 -1 0" />', f'<axis xyz="{axis}" />')
    edit(folder, '</robot>', '<link name="foot"><visual><geometry><box size=".01 .01 .01"/>'
         '</geometry></visual></link><joint name="f" type="fixed"><parent link="base"/>'
         '<child link="foot"/><origin xyz=".5 0 0"/></joint></robot>')
    got = O.load_object(folder)
    np.testing.assert_allclose(got.origin, want.origin, atol=1e-5)
    np.testing.assert_allclose(got.axis, want.axis, atol=1e-5)
    np.testing.assert_allclose(got.bounds, want.bounds, atol=1e-5)
    assert len(got.meshes[0].faces) == 24


@pytest.mark.parametrize(('old', 'new', 'match'), [
    ('meshes/lid.obj', 'meshes/none.obj', 'does not exist'),
    ('meshes/lid.obj', '../../../../etc/passwd', 'outside'),
    ('type="revolute"', 'type="fixed"', 'no revolute or prismatic'),
    ('type="revolute"', 'type="prismatic"', 'is prismatic'),
    ('xyz="0 -1 0"', 'xyz="0 0 1"', 'canonical frame'),
    ('xyz="0 -1 0"', 'xyz="0 0 0"', 'axis'),
    ('upper="3.141593"', 'upper="-1"', 'limits'),
    ('<robot', '<!DOCTYPE x [<!ENTITY a "b">]><robot', 'entities'),
    ('</robot>', '', 'not a readable URDF'),
])
def test_what_is_no_laptop_says_why(folder, old, new, match):
    edit(folder, old, new)
    with pytest.raises(ValueError, match=match):
        O.load_object(folder)


def test_damaged_meshes_and_folders(folder, tmp_path):
    (folder / 'meshes' / 'lid.obj').write_bytes(b'v nonsense\nf 1 2\n')
    with pytest.raises(ValueError, match='lid'):
        O.load_object(folder)
    with pytest.raises(ValueError, match='exactly one'):
        O.load_object(tmp_path)
    with pytest.raises(ValueError, match='does not exist'):
        O.list_objects(tmp_path / 'none')
    with pytest.raises(ValueError, match='categories there: laptop'):
        O.list_objects(tmp_path, 'drawer')
    assert O.list_objects(tmp_path, 'laptop') == [folder] == O.list_objects(folder)


def test_rendered_depth_of_a_box(folder):
    obj = O.load_object(folder)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
    T[2, 3] = 1.0
    depth, part = O.render_object(obj, torch.tensor([0.0]), T, CAMERA)
    assert set(part.unique().tolist()) == {-1, 1}
    top = 0.01 + 0.005 + 0.003
    assert depth[60, 80].item() == pytest.approx(1 - top, abs=1e-5)
    assert (depth == 0).sum() == (part < 0).sum() > 0
    width = (part >= 0).any(0).sum().item() * (1 - top) / 150
    assert width == pytest.approx(0.33, abs=2 * 1.0 / 150)


def test_views_follow_the_protocol_and_the_object(folder):
    edit(folder, 'upper="3.141593"', 'upper="1.5"')
    obj = O.load_object(folder)
    g = torch.Generator().manual_seed(0)
    states, elevations = [], []
    for _ in range(100):
        q, T = O.sample_object_view(obj, g)
        states.append(q.item())
        camera = torch.linalg.inv(T)[:3, 3]
        elevations.append(math.degrees(math.atan2(camera[2], camera[:2].norm())))
        depth, part = O.render_object(obj, q, T, CAMERA) if len(states) <= 3 else (None, None)
        if part is not None:
            assert (part >= 0).sum() > 50
    assert math.radians(10) <= min(states) < 0.4 and 1.3 < max(states) <= 1.5
    assert 0 < min(elevations) < 25 and 55 < max(elevations) < 80
    assert TEST_CAMERA.fx == 600.0


def test_winding_number_and_sign():
    mesh = box_mesh((0.2, 0.3, 0.4))
    rng = np.random.default_rng(0)
    p = rng.uniform(-0.3, 0.3, (400, 3))
    inside = (np.abs(p) < (0.1, 0.15, 0.2)).all(-1)
    np.testing.assert_allclose(O.winding_number(mesh, p), inside, atol=1e-6)
    open_box = Mesh(mesh.vertices, mesh.faces[2:])
    d = O.signed_distance(open_box, p)
    deep = (np.abs(p) < (0.05, 0.1, 0.15)).all(-1)
    assert (d[deep] < 0).all() and (d[~inside] > 0).mean() > 0.95


def test_only_the_outer_wall_is_visible():
    outer, inner = box_mesh((0.3, 0.2, 0.1)), box_mesh((0.28, 0.18, 0.08))
    both = Mesh(np.concatenate([outer.vertices, inner.vertices]),
                np.concatenate([outer.faces, inner.faces + len(outer.vertices)]))
    points, seen, area = O.visible_surface(both, 3000, np.random.default_rng(0))
    assert np.abs(np.abs(points) / (0.15, 0.1, 0.05)).max(-1).min() > 0.999
    assert len(seen.faces) == 12 and len(points) >= 3000
    assert area == pytest.approx(0.22, rel=0.05)
