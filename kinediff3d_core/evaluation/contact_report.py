"""How many contacts are on the surface, turn the part the right way, and can be reached.

    python -m kinediff3d_core.evaluation.contact_report --objects DIR

Objects are exact: procedural ones that are held out, or meshes of a folder. The table shows, by
category, the shares of the best contacts of all moving parts, with the joints at several shares of
their range.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.data.mesh_objects import MeshObject, category_of, list_objects, load_object
from kinediff3d_core.data.surfaces import MeshDistance
from kinediff3d_core.evaluation.contact_sheet import true_estimate
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.contact import Contact, contacts
from kinediff3d_core.objects.contact_features import HANDLES
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh, PartEstimate
from kinediff3d_core.simulation.families import FAMILIES, held_out_generator, sample_instances

Array = np.ndarray[Any, Any]

STATES = (0.0, 0.25, 0.5)
"""Joint positions, as shares of the range, at which contacts are measured. Chosen."""
ON_SURFACE = 1e-4
"""A contact is on the surface if it is nearer to the mesh than this, m. Chosen."""
STEP = 1e-4
"""Motion of a joint that shows in which direction a contact moves, as a share of its range."""
ALONG = 0.99
"""It moves along x if the cosine is at least this. Chosen."""
HEAD = ('category', 'objects', 'contacts', 'bar or knob', 'on the surface', 'right way')


@dataclass(frozen=True)
class Measured:
    """One part's best contact at one state.

    Attributes:
        state: share of the joint's range.
        is_handle, on_surface, right_way, reachable: of the contact.
    """

    state: float
    is_handle: bool
    on_surface: bool
    right_way: bool
    reachable: bool


def object_estimate(obj: MeshObject, share: float) -> ArticulatedEstimate:
    """The estimate of an imported object without any error, joints at a share of their range.

    Its meshes are turned outward, as those of estimates are.
    """
    q = obj.lower + share * (obj.upper - obj.lower)
    joints = tuple(JointEstimate(
        j.name, j.joint_type, obj.parts[j.parent], obj.parts[j.child], origin,
        np.asarray(j.axis), float(x), j.lower, j.upper, 0.0)
        for j, origin, x in zip(obj.joints, obj.origin, q, strict=True))
    still = ArticulatedEstimate(
        obj.category, tuple(PartEstimate(n, np.eye(4), _outward(m)) for n, m in
                            zip(obj.parts, obj.meshes, strict=True)),
        joints, np.zeros((6, 6)), 0.0, 1.0, (), np.zeros(0), np.zeros((0, 3)))
    return at_positions(still, q)


def _outward(mesh: Mesh) -> Mesh:
    """The mesh with all triangles turned over, if they enclose a negative volume."""
    corner = mesh.vertices[mesh.faces] - mesh.vertices.mean(0)
    volume = np.einsum('ij,ij->', corner[:, 0], np.cross(corner[:, 1], corner[:, 2]))
    return mesh if volume >= 0 else Mesh(mesh.vertices, mesh.faces[:, ::-1])


def at_positions(estimate: ArticulatedEstimate, positions: Array) -> ArticulatedEstimate:
    """The estimate with its joints at other positions (J,); its base stays."""
    poses = estimate.part_poses_at(positions)
    return replace(
        estimate, parts=tuple(replace(p, T_camera_part=estimate.T_camera_base @ poses[p.name])
                              for p in estimate.parts),
        joints=tuple(replace(j, position=float(q))
                     for j, q in zip(estimate.joints, positions, strict=True)))


def at_share(estimate: ArticulatedEstimate, share: float) -> ArticulatedEstimate:
    """The estimate with all joints at a share of their ranges."""
    return at_positions(estimate, np.array([
        j.lower + share * (j.upper - j.lower) for j in estimate.joints]))


def measure(estimate: ArticulatedEstimate) -> list[Measured]:
    """The best contacts of an estimate without error, at all states."""
    distances = {p.name: MeshDistance(p.mesh) for p in estimate.parts if p.mesh is not None}
    found = []
    for share in STATES:
        state = at_share(estimate, share)
        for contact in contacts(state):
            at = contact.T_part_contact[None, :3, 3]
            found.append(Measured(
                share, contact.kind in HANDLES,
                float(distances[contact.part](at)[0]) < ON_SURFACE,
                _moves_along_x(state, contact), contact.reachable))
    return found


def _moves_along_x(estimate: ArticulatedEstimate, contact: Contact) -> bool:
    """Whether the contact's origin moves along its x when its joint's position increases."""
    index = [j.name for j in estimate.joints].index(contact.joint)
    joint = estimate.joints[index]
    q = np.array([j.position for j in estimate.joints])
    q[index] += STEP * (joint.upper - joint.lower)
    part = next(p for p in at_positions(estimate, q).parts if p.name == contact.part)
    step = (part.T_camera_part @ contact.T_part_contact - contact.T_camera_contact)[:3, 3]
    return bool(step @ contact.T_camera_contact[:3, 0] >= ALONG * np.linalg.norm(step))


def procedural(category: str, count: int, seed: int) -> Iterator[ArticulatedEstimate]:
    """Held-out objects of a family."""
    objects = sample_instances(category, count, held_out_generator(seed))
    return (true_estimate(objects, i, 0.0) for i in range(count))


def imported(folders: Sequence[Path]) -> Iterator[ArticulatedEstimate]:
    """Objects of folders; those that cannot be used are named and left out."""
    for folder in folders:
        try:
            yield object_estimate(load_object(folder), 0.0)
        except ValueError as error:
            print(f'{folder.name} left out: {error}', file=sys.stderr)


def row(category: str, objects: int, found: Sequence[Measured]) -> list[str]:
    """The cells of one line of the table."""
    shares = [np.mean([getattr(m, name) for m in found])
              for name in ('is_handle', 'on_surface', 'right_way')]
    shares += [np.mean([m.reachable for m in found if m.state == share]) for share in STATES]
    return [category, str(objects), str(len(found) // len(STATES)),
            *(f'{x:.0%}' for x in shares)]


def report(options: argparse.Namespace) -> None:
    """Measure and print the table."""
    names = options.category or list(FAMILIES)
    folders = [] if options.objects is None else list_objects(options.objects)
    rows = []
    for name in names:
        own = [f for f in folders if category_of(f) == name]
        objects = procedural(name, options.count, options.seed) if options.objects is None \
            else imported(own)
        found = [measure(e) for e in tqdm(objects, name, len(own) or options.count, disable=None)]
        if found:
            rows.append(row(name, len(found), [m for each in found for m in each]))
    print(markdown_table([*HEAD, *(f'reachable at {share:.0%}' for share in STATES)], rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit status."""
    parser = Parser('contact_report', 'Measure where moving parts are held.')
    parser.add_argument('--category', choices=sorted(CATEGORIES), action='append',
                        help='default: all')
    parser.add_argument('--count', type=int, default=20, help='procedural objects of a category')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--objects', type=Path, metavar='DIR',
                        help='one folder an object, its category before the first "_"; in place '
                        'of procedural objects')
    return run(parser, report, arguments)


if __name__ == '__main__':
    sys.exit(main())
