"""ArtImage in its published layout, written from procedural objects."""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import degrees, pi

import numpy as np
import torch
from PIL import Image
from stated_models import scissors_points

from kinediff3d_core.data.datasets.artimage_model import METRES
from kinediff3d_core.evaluation.true_meshes import true_mesh
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.kinematics import poses_in_base
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import render_depth
from kinediff3d_core.simulation.views import sample_views

CAMERA = Intrinsics(230.0, 230.0, 159.0, 161.0, 320, 320)
UPRIGHT = np.array([[0, 1, 0, 0.3], [0, 0, 1, -0.2], [1, 0, 0, 0.1], [0, 0, 0, 1.0]])
"""From the canonical base frame to a model's frame, in which y is up."""
ALIGNED = '<origin rpy="0.1 0.2 -0.3" xyz="0.2 -0.1 0.3"/>'
"""Where the URDF of the rest state puts the base; the other one puts it at the origin."""
PARTS = {'laptop': 2, 'eyeglasses': 3, 'dishwasher': 2, 'drawer': 4, 'scissors': 2}


@dataclass(frozen=True)
class WrittenObject:
    """An object, and where its files have their zero.

    Attributes:
        one: of a procedural family, with all parts of ArtImage's category.
        zero, rest: (J,) canonical positions in the URDF's zero pose and at rest.
        flip: 1, or -1 for a joint axis that points the other way.
        metres: of a unit.
    """

    category: str
    urdf_id: int
    seed: int
    one: object
    zero: torch.Tensor
    rest: torch.Tensor
    flip: int

    @property
    def metres(self):
        return METRES[self.category]

    def positions(self, moving):
        """(K - 1,) of the family's joints, with those that ArtImage's objects lack at 0."""
        q = torch.zeros(self.one.num_parts - 1, dtype=torch.float64)
        q[:len(moving)] = torch.as_tensor(moving, dtype=torch.float64)
        return q

    def T_model_part(self):
        """(P, 4, 4) of the parts in the URDF's zero pose, m."""
        return UPRIGHT @ self.T_base_part(self.zero)

    def T_base_part(self, moving):
        """(P, 4, 4) of the parts at canonical positions (J,), m."""
        poses = poses_in_base(self.one.category.joints, self.positions(moving).numpy(),
                              self.one.origin[0].numpy(), self.one.axis[0].numpy())
        return poses[:PARTS[self.category]]


def make_object(category, urdf_id, seed=0, flip=1):
    """An object whose zero is neither closed nor at rest."""
    seed, one = _object(category, seed)
    joints = PARTS[category] - 1
    rest = {'laptop': pi / 2, 'dishwasher': pi / 2, 'scissors': 0.6}.get(category, 0.0)
    zero = torch.linspace(0.05, 0.08, joints) if category == 'drawer' else torch.full(
        (joints,), 0.35)
    return WrittenObject(category, urdf_id, seed, one, zero.double(),
                         torch.full((joints,), rest).double(), flip)


@lru_cache
def _object(category, seed):
    """The first object from a seed on that has ArtImage's number of parts."""
    for attempt in range(seed, seed + 200):
        one = sample_instances(category, 1, held_out_generator(attempt))
        if int(one.exists[0].sum()) == PARTS[category]:
            return attempt, one
    raise AssertionError(f'no {category} with {PARTS[category]} parts')


def write_files(root, made):
    """Point clouds, URDF and rest state of an object."""
    folder = root / made.category / 'urdf' / str(made.urdf_id)
    (folder / 'part_point_sample').mkdir(parents=True)
    T = made.T_model_part()
    for k in range(len(T)):
        points = transform_points(T[k], part_points(made, k))
        np.savetxt(folder / 'part_point_sample' / f'{k}.xyz', points / made.metres)
    joints, state = [], {'0': {'state': 0.0}}
    for j in range(len(T) - 1):
        axis = made.flip * UPRIGHT[:3, :3] @ made.one.axis[0, j].numpy()
        kind = made.one.category.joints[j].joint_type
        origin = transform_points(UPRIGHT, made.one.origin[0, j].numpy()[None])[0] / made.metres
        low, high = (0, made.flip * 0.4) if kind == 'prismatic' else (-1, 2)
        joints.append(
            f'<joint name="joint_{j + 1}" type="{kind}"><parent link="0"/>'
            f'<child link="{j + 1}"/><origin rpy="0 0 0" xyz="{text(urdf_axes(origin))}"/>'
            f'<axis xyz="{text(2 * urdf_axes(axis))}"/>'
            f'<limit lower="{min(low, high)}" upper="{max(low, high)}"/></joint>')
        state[str(j + 1)] = {'state': stated(made, j, made.rest[j] - made.zero[j])}
    for name, base in (('mobility_for_unity', '<origin rpy="0 0 0" xyz="0 0 0"/>'),
                       ('mobility_for_unity_align', ALIGNED)):
        (folder / f'{name}.urdf').write_text(
            f'<robot name="object"><joint name="joint_0" type="fixed">{base}<parent link="base"/>'
            f'<child link="0"/></joint>{"".join(joints)}</robot>')
    path = root / made.category / 'urdf' / 'rest_state.json'
    states = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(states | {str(made.urdf_id): state}))


def part_points(made, k):
    """Points (N, 3) of a part in its canonical frame, with those on the sides of its box."""
    return _points(made.category, made.seed, k)


@lru_cache
def _points(category, seed, k):
    one = _object(category, seed)[1]
    if category == 'scissors':
        return scissors_points(one, k)
    points, _ = one.surface_points(k, 3000, torch.Generator().manual_seed(k))
    mesh = true_mesh(one, k).vertices
    return np.concatenate([points[0].double().numpy(), mesh[mesh.argmin(0)],
                           mesh[mesh.argmax(0)]])


def stated(made, j, moved):
    """The state for a canonical movement of joint j."""
    if made.one.category.joints[j].joint_type == 'prismatic':
        return float(made.flip * moved / made.metres)
    return -made.flip * degrees(moved)


def urdf_axes(v):
    """x, y, z of a URDF whose y, z, x are those of the model's frame."""
    return np.asarray(v)[[2, 0, 1]]


def text(v):
    return ' '.join(f'{x:.12g}' for x in v)


def write_view(root, made, number, seed=0):
    """One annotated image; returns q (J,), T_camera_part (P, 4, 4) and the exact depth (H, W)."""
    generator = held_out_generator(100 + seed)
    q, T = sample_views(made.one, generator)
    q = made.positions(q[0, :len(made.rest)])
    depth, part = render_depth(made.one, q[None].float(), T, CAMERA)
    poses = T[0].double().numpy() @ made.T_base_part(q[:len(made.rest)])
    links = []
    for k in reversed(range(len(poses))):
        pose = poses[k] @ np.linalg.inv(made.T_model_part()[k])
        pose[:3, 3] /= made.metres
        link = {'link_category_id': k, 'transformation': pose.tolist()}
        if k:
            link['state'] = stated(made, k - 1, float(q[k - 1]) - float(made.rest[k - 1]))
        links.append(link)
    v, u = np.nonzero(part[0].numpy() >= 0)
    box = [int(u.min()), int(v.min()), int(u.max()) + 1, int(v.max()) + 1]
    x1, y1, x2, y2 = box
    links[0]['segmentation'] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
    folder = root / made.category / 'train'
    for name in ('annotations', 'depth'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(1000 * depth[0].numpy() / made.metres).astype(np.uint16)).save(
        folder / 'depth' / f'{number}.png')
    (folder / 'annotations' / f'{number}.json').write_text(json.dumps({
        'width': CAMERA.width, 'height': CAMERA.height, 'color_path': f'color/{number}.jpg',
        'depth_path': f'depth/{number}.png', 'instances': [{
            'urdf_id': made.urdf_id, 'category_id': 1, 'bbox': box, 'links': links}]}))
    return q[:len(made.rest)].numpy(), poses, depth[0].numpy()


def write_root(root, category, test=(), train=()):
    """The camera and the lists of a category."""
    c = CAMERA
    (root / 'camera_intrinsic.json').write_text(json.dumps({
        'width': c.width, 'height': c.height,
        'intrinsic_matrix': [c.fx, 0, 0, 0, c.fy, 0, c.cx, c.cy, 1]}))
    (root / category).mkdir(exist_ok=True)
    for name, numbers in (('test', test), ('train', train)):
        (root / category / f'{name}.txt').write_text(''.join(f'{n}.json\n' for n in numbers))
