"""Objects written in PartNet-Mobility's layout; nothing third-party."""

import json
from dataclasses import replace

import numpy as np
import trimesh

from kinediff3d_core.data.mesh_objects import MeshObject, merge_meshes
from kinediff3d_core.geometry.kinematics import poses_in_base
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh

Y_UP = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""From the y-up frame of the meshes into the URDF's root frame: rpy (pi/2, 0, -pi/2)."""
FACING = np.diag([-1.0, -1.0, 1.0])
"""From our canonical axes into the root frame: the front of an object is at -x."""


def box(low, high):
    """A box between two corners."""
    mesh = trimesh.creation.box(bounds=[low, high])
    return Mesh(np.array(mesh.vertices), np.array(mesh.faces))


def boxes(category, base, parts, pivots, upper):
    """An object of boxes ``(low, high)``, the base's centred; the parts' in their frames."""
    spec = get_category(category)
    low, high = (np.array(c, dtype=float) for c in base)
    assert np.allclose(low + high, 0)
    joints = tuple(type(j)(j.name, j.joint_type, 0, j.child, j.axis, 0.0, u)
                   for j, u in zip(spec.joints, upper, strict=False))
    return MeshObject('made', category, spec.parts[:len(parts) + 1], joints,
                      tuple(box(*b) for b in (base, *parts)), np.array(pivots, dtype=float))


def laptop():
    """A laptop whose screen is a little shorter than its base."""
    return boxes('laptop', ((-.11, -.16, -.01), (.11, .16, .01)),
                 [((0, -.16, 0), (.21, .16, .012))], [(-.11, 0, .012)], [2.4])


def eyeglasses():
    """A front frame with two legs."""
    leg = ((-.07, -.003, -.005), (0, .003, .005))
    return boxes('eyeglasses', ((-.004, -.07, -.02), (.004, .07, .02)), [leg, leg],
                 [(-.004, .066, .008), (-.004, -.066, .008)], [1.5, 1.5])


def cabinet(sides, size=(.6, .7, 1.4)):
    """A body with doors on the front, ``left`` or ``right``."""
    spec = get_category('cabinet')
    x, y, z = (s / 2 for s in size)
    wide = 2 * y / len(sides) - .01
    of = {'left': (spec.joints[0], -y, ((0, 0, -z), (.02, wide, z))),
          'right': (spec.joints[1], y, ((0, -wide, -z), (.02, 0, z)))}
    joints = [of[s][0] for s in sides]
    return MeshObject(
        'made', 'cabinet', ('base', *(spec.parts[j.child] for j in joints)),
        tuple(type(j)(j.name, j.joint_type, 0, i + 1, j.axis, 0.0, 2.0)
              for i, j in enumerate(joints)),
        tuple(box(*b) for b in (((-x, -y, -z), (x, y, z)), *(of[s][2] for s in sides))),
        np.array([[x, of[s][1], 0] for s in sides]))


def drawers():
    """A cabinet with two drawers."""
    front = ((-.26, -.28, -.12), (.26, .28, .12))
    return boxes('drawer', ((-.26, -.3, -.35), (.26, .3, .35)), [front, front],
                 [(.02, 0, .18), (.02, 0, -.18)], [.4, .3])


def scissors():
    """Two blades that cross at a pivot, with their handles side by side when closed."""
    def half(side, z):
        blade = trimesh.convex.convex_hull([
            (x, y, z + h) for x, y in ((-.03, .006), (-.03, -.006), (.07, 0)) for h in (0, .004)])
        low, high = sorted((0, side * .025))
        return merge_meshes([box((-.09, low, z), (-.03, high, z + .004)),
                             Mesh(np.array(blade.vertices), np.array(blade.faces))])

    base, other = half(1, 0.0), half(-1, -.002)
    centre = (base.vertices.min(0) + base.vertices.max(0)) / 2
    obj = boxes('scissors', ((-1, -1, -1), (1, 1, 1)), [((-1, -1, -1), (1, 1, 1))],
                [[0, 0, .006] - centre], [1.2])
    return replace(obj, meshes=(Mesh(base.vertices - centre, base.faces), other))


def write_partnet(folder, obj, model_cat, unit, rest=None, reverse=False, knob=True,
                  names=('slider', 'drawer'), more=''):
    """Write an object with its joints at ``rest`` as zero, of ``unit`` metres a unit.

    Args:
        reverse: state the joints about the opposite axes.
        knob: add a small continuous joint on the base.
        names: kind and name of the moving links in ``semantics.txt``. more: further lines there.
    """
    (folder / 'textured_objs').mkdir(parents=True)
    rest = np.zeros(len(obj.joints)) if rest is None else np.asarray(rest)
    poses = list(poses_in_base(obj.joints, rest, obj.origin, obj.axis))
    turn = Y_UP.T @ FACING / unit
    shift = np.array([0.1, -0.05, 0.2])
    k = len(obj.joints)
    text = ['<robot name="made"><link name="base"/>',
            _link(f'link_{k}', 'base', np.zeros(3)),
            f'<joint name="joint_{k}" type="fixed"><parent link="base"/><child link="link_{k}"/>'
            '<origin xyz="0 0 0" rpy="1.570796326794897 0 -1.570796326794897"/></joint>']
    meshes = [('base', obj.meshes[0], np.eye(4))]
    semantics = [f'link_{k} heavy body']
    for i, j in enumerate(obj.joints):
        sign = -1 if reverse else 1
        length = 1 / unit if j.joint_type == 'prismatic' else 1.0
        limits = sorted(sign * length * (q - rest[i]) for q in (j.lower, j.upper))
        meshes.append((f'part{i}', obj.meshes[i + 1], poses[i + 1]))
        pivot = turn @ obj.origin[i] + shift
        text += [_link(f'link_{i}', f'part{i}', -pivot),
                 _joint(i, j.joint_type, k, pivot, sign * turn @ np.array(j.axis) * unit, limits)]
        semantics.append(f'link_{i} {names[0]} {names[1]}')
    if knob:
        meshes.append(('knob', box((-unit / 100,) * 3, (unit / 100,) * 3), np.eye(4)))
        pivot = shift
        text += [_link(f'link_{k + 1}', 'knob', -pivot),
                 _joint(k + 1, 'continuous', k, pivot, np.array([0., 1, 0]), None)]
        semantics.append(f'link_{k + 1} hinge knob')
    ends = []
    for name, mesh, T in meshes:
        vertices = transform_points(T, mesh.vertices) @ turn.T + shift
        ends.append(vertices)
        lines = [f'v {x:.12f} {y:.12f} {z:.12f}' for x, y, z in vertices]
        lines += [f'f {a + 1} {b + 1} {c + 1}' for a, b, c in mesh.faces]
        (folder / 'textured_objs' / f'{name}.obj').write_text('\n'.join(lines))
    ends = np.concatenate(ends)
    (folder / 'mobility.urdf').write_text('\n'.join([*text, '</robot>']))
    (folder / 'meta.json').write_text(json.dumps({'model_cat': model_cat}))
    (folder / 'bounding_box.json').write_text(json.dumps(
        {'min': ends.min(0).tolist(), 'max': ends.max(0).tolist()}))
    (folder / 'semantics.txt').write_text('\n'.join(semantics) + '\n' + more)


def _numbers(values):
    return ' '.join(f'{x:.12f}' for x in values)


def _link(name, mesh, offset):
    return (f'<link name="{name}"><visual><origin xyz="{_numbers(offset)}"/><geometry><mesh '
            f'filename="textured_objs/{mesh}.obj"/></geometry></visual></link>')


def _joint(i, kind, parent, pivot, axis, limits):
    limit = '' if limits is None else '<limit lower="{:.12f}" upper="{:.12f}"/>'.format(*limits)
    return (f'<joint name="joint_{i}" type="{kind}"><parent link="link_{parent}"/>'
            f'<child link="link_{i}"/><origin xyz="{_numbers(pivot)}"/>'
            f'<axis xyz="{_numbers(axis)}"/>{limit}</joint>')
