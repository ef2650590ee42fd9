"""URDF of an estimate: a link with a mesh for each part, and the estimated joints.

:mod:`kinediff3d_core.objects.urdf_reader` reads URDFs.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any
from xml.etree import ElementTree

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh

DENSITY = 700.0
"""Density of a part's bounding box, kg/m^3. Chosen: that of wood. Simulators refuse links without
a mass."""
MIN_SIZE = 1e-4
"""Least side of the box from which the inertia is computed, m. Chosen: the inertia of a flat part
stays above zero."""
MIN_MASS = 1e-3
"""Least mass of a part, kg. Chosen."""
EFFORT = {'revolute': 10.0, 'prismatic': 50.0}
"""Greatest effort of a joint, N m or N. Chosen; URDF requires one."""
VELOCITY = {'revolute': 3.0, 'prismatic': 1.0}
"""Greatest velocity of a joint, rad/s or m/s. Chosen; URDF requires one."""


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


def urdf_string(estimate: ArticulatedEstimate,
                mesh_uri: Callable[[str], str] | str = 'meshes/{part}.obj',
                object_name: str | None = None) -> str:
    """The URDF of an estimate.

    Links and joints carry the object's name (:func:`link_name`, :func:`joint_name`), so that
    several objects and a robot fit into one URDF. The root link is the base part. The frame of a
    child link is at its joint's pivot, parallel to its parent's at position zero
    (docs/conventions.md).

    Args:
        mesh_uri: the address of a part's mesh by part name: a function, or a pattern with
            ``{part}`` such as ``package://demo/meshes/{part}.obj``. Parts without a mesh get a
            link without geometry.
        object_name: of the robot in the URDF, and before all names; by default
            :func:`default_object_name` of the category.

    Raises:
        ValueError: a number that is not finite.
    """
    uri = mesh_uri if callable(mesh_uri) else lambda part: mesh_uri.format(part=part)
    name = object_name or default_object_name(estimate.category)
    robot = ElementTree.Element('robot', name=name)
    for part in estimate.parts:
        link = ElementTree.SubElement(robot, 'link', name=link_name(name, part.name))
        if part.mesh is None:
            continue
        _add_inertial(link, part.mesh)
        for kind in ('visual', 'collision'):
            geometry = ElementTree.SubElement(ElementTree.SubElement(link, kind), 'geometry')
            ElementTree.SubElement(geometry, 'mesh', filename=uri(part.name))
    for joint in estimate.joints:
        element = ElementTree.SubElement(robot, 'joint', name=joint_name(name, joint.name),
                                         type=joint.joint_type)
        ElementTree.SubElement(element, 'parent', link=link_name(name, joint.parent))
        ElementTree.SubElement(element, 'child', link=link_name(name, joint.child))
        ElementTree.SubElement(element, 'origin', xyz=_numbers(joint.origin), rpy='0 0 0')
        axis = np.asarray(joint.axis, dtype=np.float64)
        ElementTree.SubElement(element, 'axis', xyz=_numbers(axis / np.linalg.norm(axis)))
        ElementTree.SubElement(
            element, 'limit', lower=_number(joint.lower), upper=_number(joint.upper),
            effort=_number(EFFORT[joint.joint_type]), velocity=_number(VELOCITY[joint.joint_type]))
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding='unicode') + '\n'


def _add_inertial(link: ElementTree.Element, mesh: Mesh) -> None:
    """Add the mass and inertia of the mesh's bounding box, as a solid of :data:`DENSITY`."""
    low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
    size = np.maximum(high - low, MIN_SIZE)
    mass = max(DENSITY * float(np.prod(size)), MIN_MASS)
    inertia = mass / 12 * (np.sum(size ** 2) - size ** 2)
    inertial = ElementTree.SubElement(link, 'inertial')
    ElementTree.SubElement(inertial, 'origin', xyz=_numbers((low + high) / 2), rpy='0 0 0')
    ElementTree.SubElement(inertial, 'mass', value=_number(mass))
    ElementTree.SubElement(
        inertial, 'inertia', ixx=f'{inertia[0]:.6g}', iyy=f'{inertia[1]:.6g}',
        izz=f'{inertia[2]:.6g}', ixy='0', ixz='0', iyz='0')


def _number(x: float) -> str:
    if not isfinite(x):
        raise ValueError(f'a URDF cannot hold the number {x}')
    return f'{float(x):.7g}'


def _numbers(v: Any) -> str:
    return ' '.join(_number(float(x)) for x in v)
