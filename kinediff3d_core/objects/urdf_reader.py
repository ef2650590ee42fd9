"""Safe reading of third-party URDFs: links and joints. Frames and units stay the URDF's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import defusedxml.ElementTree
import numpy as np
from defusedxml import DefusedXmlException
from scipy.spatial.transform import Rotation

from kinediff3d_core.objects.suggestion import did_you_mean

Array = np.ndarray[Any, Any]

XACRO = b'<xacro:'
"""In the text of a file that has to be expanded to a URDF."""
MAX_URDF_BYTES = 4 * 2**20
"""Largest URDF. Chosen: bounds memory and time."""


def read_urdf(source: Path) -> Any:
    """The robot (:class:`yourdfpy.URDF`) of a URDF, without its meshes.

    Raises:
        ValueError: too large, damaged, or with XML entities, which expand without a limit.
    """
    import yourdfpy

    _require_tree(source, _urdf_root(source))
    try:
        return yourdfpy.URDF.load(str(source), load_meshes=False, build_scene_graph=True,
                                  load_collision_meshes=False, build_collision_scene_graph=False)
    except KeyError as error:
        raise ValueError(f'{source} is not a readable URDF: the robot, a link, a joint or '
                         f'something in them has no {error}') from error
    except Exception as error:  # the XML and URDF parsers raise types of their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f'{source} is not a readable URDF: {reason}') from error


@dataclass(frozen=True)
class UrdfJoint:
    """A joint as a URDF states it.

    Attributes:
        joint_type: as written; ``fixed`` and others included.
        xyz, rpy: (3,) origin of the joint's frame in its parent link's, and its roll, pitch and
            yaw, rad.
        axis: (3,) in the joint's frame, as written.
        lower, upper: limits in the URDF's unit; NaN where there are none.
    """

    name: str
    joint_type: str
    parent: str
    child: str
    xyz: Array
    rpy: Array
    axis: Array
    lower: float
    upper: float


def read_joints(source: Path) -> tuple[UrdfJoint, ...]:
    """The joints of a URDF in its order; its links and meshes are not read.

    Raises:
        ValueError: missing, too large or damaged, with XML entities, or a joint with a value that
            is no number; one line that names the file.
    """
    root = _urdf_root(source)
    try:
        return tuple(_joint(element) for element in root.iter('joint') if 'type' in element.attrib)
    except (KeyError, ValueError) as error:
        raise ValueError(f'{source} has a joint that cannot be read: {error}') from error


def origin_transform(xyz: Array, rpy: Array) -> Array:
    """Pose (4, 4) of a URDF's ``origin``: position (3,) and roll, pitch and yaw (3,), rad."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler('xyz', rpy).as_matrix()
    T[:3, 3] = xyz
    return T


def _joint(element: ElementTree.Element) -> UrdfJoint:
    def text(tag: str, attribute: str, default: str) -> str:
        found = element.find(tag)
        return default if found is None else found.get(attribute, default)

    return UrdfJoint(
        element.attrib['name'], element.attrib['type'], text('parent', 'link', ''),
        text('child', 'link', ''),
        three_numbers(text('origin', 'xyz', '0 0 0')),
        three_numbers(text('origin', 'rpy', '0 0 0')),
        three_numbers(text('axis', 'xyz', '1 0 0')), float(text('limit', 'lower', 'nan')),
        float(text('limit', 'upper', 'nan')))


def three_numbers(text: str) -> Array:
    """The three numbers (3,) of an attribute.

    Raises:
        ValueError: others, or some that are not finite.
    """
    numbers = np.array([float(x) for x in text.split()])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError(f'{text!r} is not three numbers')
    return numbers


def _require_tree(source: Path, root: ElementTree.Element) -> None:
    """Refuse links and joints that are no tree with one root, as ROS does."""
    links = Counter(link.get('name', '') for link in root.findall('link'))
    twice = [link for link, count in links.items() if count > 1]
    if twice:
        raise ValueError(f'{source}: two links are called {twice[0]!r}')
    joints = {joint.get('name', '') for joint in root.findall('joint')}
    parents: dict[str, str] = {}
    for joint in root.findall('joint'):
        ends = [end.get('link', '') for tag in ('parent', 'child') for end in joint.findall(tag)]
        unknown = [end for end in ends if end not in links]
        if len(ends) != 2 or unknown:
            reason = f'the link {unknown[0]!r}, which is not there' if unknown else \
                f'{len(ends)} links, not a parent and a child'
            raise ValueError(f'{source}: joint {joint.get("name")!r} names {reason}'
                             f'{did_you_mean(unknown[0], links) if unknown else ""}')
        if ends[1] in parents:
            raise ValueError(f'{source}: link {ends[1]!r} has two parents, {parents[ends[1]]!r} '
                             f'and {ends[0]!r}')
        parents[ends[1]] = ends[0]
        _require_leader(source, joint, joints)
    roots = [link for link in links if link not in parents]
    reached = _reached(roots[:1], parents)
    if len(reached) != len(links):
        lost = ', '.join(repr(link[:40]) for link in links if link not in reached)
        raise ValueError(f'{source}: its links are no tree with one root: no joint connects '
                         f'{roots[0] if roots else "a root"!r} with {lost[:120]}')


def _reached(start: Iterable[str], parents: Mapping[str, str]) -> set[str]:
    """Some links and all below them, in a tree of joints."""
    children: dict[str, list[str]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    reached, left = set[str](), list(start)
    while left:
        link = left.pop()
        reached.add(link)
        left += children.get(link, [])
    return reached


def _require_leader(source: Path, joint: ElementTree.Element, joints: Collection[str]) -> None:
    """Refuse a joint that mimics one that is not there."""
    for mimic in joint.findall('mimic'):
        leader = mimic.get('joint', '')
        if leader not in joints:
            raise ValueError(f'{source}: joint {joint.get("name")!r} mimics {leader[:40]!r}, '
                             f'which is not there{did_you_mean(leader, joints)}')


def _urdf_root(source: Path) -> ElementTree.Element:
    """The root element of a URDF.

    Raises:
        ValueError: missing, too large, damaged, or with XML entities, which expand without limit.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ValueError(f'URDF {source} cannot be read: {error.strerror}') from error
    if len(content) > MAX_URDF_BYTES:
        raise ValueError(f'{source} has {len(content)} bytes, more than {MAX_URDF_BYTES}')
    if XACRO in content:
        raise ValueError(f'{source} is xacro, not URDF: expand it with "xacro {source.name} > '
                         'object.urdf"')
    try:
        root: ElementTree.Element = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ValueError(f'{source} declares a document type or XML entities, which no URDF '
                         'needs') from error
    except ElementTree.ParseError as error:
        raise ValueError(f'{source} is not a readable URDF: {error}') from error
    if root.tag != 'robot':
        raise ValueError(f'{source} is not a URDF: it begins with <{root.tag[:40]}>, not with '
                         '<robot>')
    return root
