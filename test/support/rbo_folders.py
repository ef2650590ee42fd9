"""RBO in its published layout, written from objects in the canonical frame."""

import csv
from dataclasses import replace

import numpy as np
import torch
from estimates import box_mesh, random_pose
from scipy.spatial.transform import Rotation

from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.object_views import cast_object
from kinediff3d_core.evaluation.true_meshes import true_mesh
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.urdf_folder import write_obj
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import transform_mesh
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import pixel_rays

CAMERA = Intrinsics(130.0, 131.0, 79.0, 61.0, 160, 120)
START = 1_500_000_000.0
"""Time of the first image, s: in July 2017."""
FRAMES = 12
IMAGES = (1, 6, 10)
"""Moments at which there is a depth image."""
CHAIN = ('map', 'AsusXtionCameraFrame', 'camera_link', 'camera_rgb_frame',
         'camera_rgb_optical_frame')


def two_boxes(category):
    """A laptop or box of two boxes; closed, the lid lies flat on the base."""
    spec = get_category(category)
    high = 0.02 if category == 'laptop' else 0.12
    return MeshObject('', category, spec.parts, spec.joints,
                      (box_mesh((0.24, 0.34, high)), box_mesh((0.24, 0.33, 0.008),
                                                              (0.12, 0, 0.006))),
                      np.array([[-0.12, 0.0, high / 2]]))


def chest():
    """A body and one drawer, of two boxes."""
    spec = get_category('drawer')
    return MeshObject('', 'drawer', spec.parts[:2], spec.joints[:1],
                      (box_mesh((0.5, 0.6, 0.7)), box_mesh((0.45, 0.5, 0.2))),
                      np.array([[0.04, 0.02, 0.15]]))


def microwave():
    """A body and a door with its hinge on the left, of two boxes."""
    spec = get_category('cabinet')
    return MeshObject('', 'cabinet', spec.parts[:2], spec.joints[:1],
                      (box_mesh((0.35, 0.5, 0.3)), box_mesh((0.02, 0.36, 0.29), (0.01, 0.18, 0))),
                      np.array([[0.175, -0.25, 0.0]]))


def cabinet(drawers):
    """A procedural cabinet with so many drawers."""
    spec = get_category('drawer')
    seeds = (sample_instances('drawer', 1, held_out_generator(s)) for s in range(500))
    one = next(x for x in seeds if int(x.exists[0].sum()) == drawers + 1)
    return MeshObject('', 'drawer', spec.parts[:drawers + 1], spec.joints[:drawers],
                      tuple(true_mesh(one, k) for k in range(drawers + 1)),
                      one.origin[0, :drawers].double().numpy())


def positions(obj):
    """(FRAMES, J) joint positions: from almost closed to open; drawers and doors begin closed."""
    share = np.linspace(0, 1, FRAMES)[:, None]
    if obj.category == 'drawer':
        return share * np.linspace(0.15, 0.25, len(obj.joints))
    return (0.0 if obj.category == 'cabinet' else 0.4) + 1.1 * share


def write_sequence(root, name, number, obj, urdf=True, moves=True):
    """A sequence of an object with its model; T_camera_part (FRAMES, K, 4, 4)."""
    bodies = [random_pose(10 + k) for k in range(len(obj.meshes))]
    markers = [7, *range(2, 1 + len(obj.meshes))]
    write_model(root, name, obj, bodies, markers, urdf)
    folder = root / 'interactions' / name / f'{name}{number:02d}_o'
    (folder / 'camera_depth_registered').mkdir(parents=True)
    q = positions(obj) if moves else positions(obj)[:1].repeat(FRAMES, 0)
    T_map_base = np.eye(4)
    T_map_base[:3, :3] = Rotation.from_euler('z', 0.7).as_matrix()
    T_map_base[:3, 3] = (0.3, -0.2, 0.8)
    still = torch.eye(4, dtype=torch.float64).expand(FRAMES, 4, 4)
    parts = obj.part_poses(torch.from_numpy(q), still).numpy()
    in_map = T_map_base @ parts
    fixed = [random_pose(20 + i) for i in range(3)]
    tables = {'tf': [], 'rb': [], 'joints': []}
    T_camera_part = []
    for i in range(FRAMES):
        stamp = START + i / 10
        T_map_camera = T_map_base @ looking_at(obj, i)
        top = T_map_camera @ np.linalg.inv(fixed[0] @ fixed[1] @ fixed[2])
        for j, T in enumerate((top, *fixed)):
            slash = '/' if j % 2 else ''
            tables['tf'].append({
                '%time': nanoseconds(stamp), **transform('field.transforms0.', stamp, T),
                'field.transforms0.header.frame_id': slash + CHAIN[j],
                'field.transforms0.child_frame_id': slash + CHAIN[j + 1]})
        row = {'%time': nanoseconds(stamp)}
        order = list(range(len(bodies)))[::-1]  # Slots are not in the order of the parts.
        for slot, k in enumerate(order):
            row |= marker(f'field.markers{slot}.', markers[k], in_map[i, k] @ bodies[k])
        tables['rb'].append(row)
        tables['joints'].append(
            {'%time': 0, 'field.header.seq': i, 'field.header.stamp': nanoseconds(stamp),
             'field.header.frame_id': ''}
            | {f'field.name{j}': f'j_0_{j + 1}' for j in range(q.shape[1])}
            | {f'field.position{j}': 0.2 - q[i, j] for j in range(q.shape[1])})
        T_camera_part.append(np.linalg.inv(T_map_camera) @ in_map[i])
        if i in IMAGES:
            write_depth(folder / 'camera_depth_registered' / f'{i:06d}-{stamp + 0.004:.6f}.txt',
                        obj, T_camera_part[-1])
    write_table(folder / 'tf.csv', tables['tf'])
    write_table(folder / 'rb_poses_array.csv', tables['rb'])
    write_table(folder / f'{name}_joint_states.csv', tables['joints'])
    c = CAMERA
    k = [c.fx, 0, c.cx, 0, c.fy, c.cy, 0, 0, 1]
    write_table(folder / 'camera_depth_registered_camera_info.csv', [
        {'field.height': c.height, 'field.width': c.width}
        | {f'field.D{i}': 0.0 for i in range(5)} | {f'field.K{i}': k[i] for i in range(9)}])
    return np.stack(T_camera_part)


def write_model(root, name, obj, bodies, markers, urdf):
    """The configuration of an object: meshes in frames of their own, YAML and URDF."""
    folder = root / 'objects' / name / 'configuration_2017-05-01'
    folder.mkdir(parents=True, exist_ok=True)
    meshes, poses, joints = [], [], []
    for k, mesh in enumerate(obj.meshes):
        M = random_pose(30 + k)
        write_obj(transform_mesh(np.linalg.inv(M) @ np.linalg.inv(bodies[k]), mesh),
                  root / 'objects' / name / 'meshes' / f'part{k}.obj')
        meshes.append(f'rb{k}: "{name}/meshes/part{k}.obj"')
        poses.append(f'rb{k}: "<origin xyz=\'{numbers(M[:3, 3])}\' rpy=\'{rpy(M)}\'/>"')
    for j, joint in enumerate(obj.joints):
        T = np.linalg.inv(bodies[0])
        frame = random_pose(40 + j)
        frame[:3, 3] = (T @ np.array([*(obj.origin[j] + 0.05 * np.array(joint.axis)), 1]))[:3]
        axis = -frame[:3, :3].T @ T[:3, :3] @ np.array(joint.axis)
        joints.append(f'<joint name="j_0_{j + 1}" type="{joint.joint_type}"><parent link="rb0"/>'
                      f'<child link="rb{j + 1}"/><origin xyz="{numbers(frame[:3, 3])}" '
                      f'rpy="{rpy(frame)}"/><axis xyz="{numbers(axis)}"/></joint>')
    ids = ', '.join(f'{m}: "{k}"' for k, m in enumerate(markers))
    listed = ', '.join(f'{{rb1_id: {markers[0]}, rb2_id: {m}, type: {j.joint_type.title()}}}'
                       for m, j in zip(markers[1:], obj.joints, strict=True))
    (folder / f'{name}_in.yaml').write_text(
        f'link_ids: {{{ids}}}\njoints: [{listed}]\nmeshes: {{{", ".join(meshes)}}}\n'
        f'mesh_poses: {{{", ".join(poses)}}}\nlink_name_prefix: rb\nbase_marker: {markers[0]}\n')
    (folder / f'{name}.urdf').write_text(f'<robot name="{name}">{"".join(joints) if urdf else ""}'
                                         '</robot>')


def looking_at(obj, i):
    """T_base_camera (4, 4): from the front and above, moving."""
    size = float(np.linalg.norm(np.ptp(obj.bounds.reshape(-1, 3), axis=0)))
    back = np.array([1.0, 0.5 - 0.05 * i, 0.9])
    back = back / np.linalg.norm(back)
    x = np.cross(-back, (0, 0, 1))
    x = x / np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(-back, x), -back], axis=-1)
    T[:3, 3] = 1.8 * size * back
    return T


def write_depth(path, obj, T_camera_part):
    depth, _ = cast_object(obj, torch.from_numpy(T_camera_part), pixel_rays(CAMERA))
    depth = np.where(depth > 0, depth, np.nan)
    np.savetxt(path, depth, fmt='%.5f')


def transform(prefix, stamp, T):
    q = Rotation.from_matrix(T[:3, :3]).as_quat()
    return ({f'{prefix}header.stamp': nanoseconds(stamp)}
            | {f'{prefix}transform.translation.{a}': x for a, x in zip('xyz', T[:3, 3],
                                                                       strict=True)}
            | {f'{prefix}transform.rotation.{a}': x for a, x in zip('xyzw', q, strict=True)})


def marker(prefix, number, T):
    q = Rotation.from_matrix(T[:3, :3]).as_quat()
    return ({f'{prefix}id': number}
            | {f'{prefix}pose.position.{a}': x for a, x in zip('xyz', T[:3, 3], strict=True)}
            | {f'{prefix}pose.orientation.{a}': x for a, x in zip('xyzw', q, strict=True)})


def nanoseconds(stamp):
    return round(stamp * 1e9)


def numbers(v):
    return ' '.join(f'{x:.12g}' for x in v)


def rpy(T):
    return numbers(Rotation.from_matrix(T[:3, :3]).as_euler('xyz'))


def write_table(path, rows):
    with path.open('w', newline='') as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def renamed(obj, joint_type):
    """The same object with joints of another type."""
    return replace(obj, joints=tuple(replace(j, joint_type=joint_type) for j in obj.joints))
