"""URDF of an estimate: a link with meshes for each part, and the estimated joints.

:mod:`kinediff3d_core.objects.urdf_reader` reads URDFs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any
from xml.etree import ElementTree

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate
from kinediff3d_core.objects.joint_dynamics import joint_dynamics
from kinediff3d_core.objects.mass import MassProperties, mass_properties, material_of

RELATIVE = 'meshes/{mesh}.obj'
"""Pattern of the addresses of meshes beside a URDF."""
WITHOUT_MESH = MassProperties(1.0, np.array([0.0, 0.0, 0.1]), 1e-2 * np.eye(3))
"""What the joint of a part without a mesh is taken to move. Chosen; URDF requires limits."""


def default_object_name(category: str) -> str:
    """The name of an object of a category: the category, with ``_`` for ``-``.

    Topics, of whose names it becomes a part, have no ``-``.
    """
    return category.replace('-', '_')


def link_name(object_name: str, part: str) -> str:
    """The link of a part, and its TF frame: ``<object>_<part>``."""
    return f'{object_name}_{part}'


def joint_name(object_name: str, joint: str) -> str:
    """The name of a joint in URDFs and joint states: ``<object>_<joint>``."""
    return f'{object_name}_{joint}'


def collision_name(part: str, index: int) -> str:
    """Name of the mesh of one of a part's collision pieces."""
    return f'{part}_collision_{index}'


def urdf_string(estimate: ArticulatedEstimate,
                mesh_uri: Callable[[str], str] | str = RELATIVE,
                object_name: str | None = None,
                collision: Mapping[str, int] | None = None) -> str:
    """The URDF of an estimate.

    Links and joints carry the object's name (:func:`link_name`, :func:`joint_name`), so that
    several objects and a robot fit into one URDF. The root link has the object's name, no mass and
    the pose of the base part, to which a fixed joint connects it. The frame of a child link is at
    its joint's pivot, parallel to its parent's at position zero (docs/conventions.md).

    Args:
        mesh_uri: the address of a mesh by its name: a function, or a pattern with ``{mesh}`` such
            as ``package://demo/meshes/{mesh}.obj``. A part's mesh has its name. Parts without a
            mesh get a link without geometry.
        object_name: of the robot in the URDF, and before all names; by default
            :func:`default_object_name` of the category.
        collision: number of collision pieces of each part (:func:`collision_name`); the mesh of
            any other part is its collision geometry.

    Raises:
        ValueError: a number that is not finite.
    """
    uri = mesh_uri if callable(mesh_uri) else lambda mesh: mesh_uri.format(mesh=mesh)
    name = object_name or default_object_name(estimate.category)
    robot = ElementTree.Element('robot', name=name)
    # MuJoCo before version 4 looks for meshes beside the URDF otherwise; others ignore it.
    ElementTree.SubElement(ElementTree.SubElement(robot, 'mujoco'), 'compiler', strippath='false')
    material = material_of(estimate.category)
    mass = {p.name: mass_properties(p.mesh, material) for p in estimate.parts
            if p.mesh is not None}
    ElementTree.SubElement(robot, 'link', name=name)
    _add_fixed_joint(robot, name, link_name(name, estimate.parts[0].name))
    for part in estimate.parts:
        link = ElementTree.SubElement(robot, 'link', name=link_name(name, part.name))
        if part.mesh is None:
            continue
        _add_inertial(link, mass[part.name])
        _add_geometry(link, 'visual', uri(part.name))
        pieces = (collision or {}).get(part.name)
        for mesh in [part.name] if pieces is None else [
                collision_name(part.name, i) for i in range(pieces)]:
            _add_geometry(link, 'collision', uri(mesh))
    for joint in estimate.joints:
        _add_joint(robot, name, joint, mass.get(joint.child, WITHOUT_MESH))
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding='unicode') + '\n'


def _add_geometry(link: ElementTree.Element, kind: str, uri: str) -> None:
    """Add a ``visual`` or ``collision`` mesh."""
    geometry = ElementTree.SubElement(ElementTree.SubElement(link, kind), 'geometry')
    ElementTree.SubElement(geometry, 'mesh', filename=uri)


def _add_fixed_joint(robot: ElementTree.Element, root: str, base: str) -> None:
    """Connect the root link to the base part: KDL ignores the mass of a root link."""
    element = ElementTree.SubElement(robot, 'joint', name=f'{base}_fixed', type='fixed')
    ElementTree.SubElement(element, 'parent', link=root)
    ElementTree.SubElement(element, 'child', link=base)
    ElementTree.SubElement(element, 'origin', xyz='0 0 0', rpy='0 0 0')


def _add_joint(robot: ElementTree.Element, object_name: str, joint: JointEstimate,
               moved: MassProperties) -> None:
    """Add a joint that moves a part of these mass properties."""
    element = ElementTree.SubElement(robot, 'joint', name=joint_name(object_name, joint.name),
                                     type=joint.joint_type)
    ElementTree.SubElement(element, 'parent', link=link_name(object_name, joint.parent))
    ElementTree.SubElement(element, 'child', link=link_name(object_name, joint.child))
    ElementTree.SubElement(element, 'origin', xyz=_numbers(joint.origin), rpy='0 0 0')
    axis = np.asarray(joint.axis, dtype=np.float64)
    ElementTree.SubElement(element, 'axis', xyz=_numbers(axis / np.linalg.norm(axis)))
    dynamics = joint_dynamics(joint, moved)
    ElementTree.SubElement(
        element, 'limit', lower=_number(joint.lower), upper=_number(joint.upper),
        effort=_number(dynamics.effort), velocity=_number(dynamics.velocity))
    ElementTree.SubElement(element, 'dynamics', damping=_number(dynamics.damping),
                           friction=_number(dynamics.friction))


def _add_inertial(link: ElementTree.Element, mass: MassProperties) -> None:
    inertial = ElementTree.SubElement(link, 'inertial')
    ElementTree.SubElement(inertial, 'origin', xyz=_numbers(mass.centre), rpy='0 0 0')
    ElementTree.SubElement(inertial, 'mass', value=_number(mass.mass))
    ElementTree.SubElement(inertial, 'inertia', {
        f'i{"xyz"[a]}{"xyz"[b]}': _number(mass.inertia[a, b])
        for a in range(3) for b in range(a, 3)})


def _number(x: float) -> str:
    if not isfinite(x):
        raise ValueError(f'a URDF cannot hold the number {x}')
    return f'{float(x):.7g}'


def _numbers(v: Any) -> str:
    return ' '.join(_number(float(x)) for x in v)
