"""Contact sheet of where moving parts are held, on held-out procedural objects.

    python -m kinediff3d_core.evaluation.contact_sheet --out docs/images/contacts.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.sheet import CELL, write_sheet
from kinediff3d_core.evaluation.true_meshes import draft_mesh
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, PartEstimate
from kinediff3d_core.simulation.families import FAMILIES, held_out_generator, sample_instances
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.visualization.preview import draw_contacts

OPENED = 0.45
"""Joint positions, as a share of the range."""


def true_estimate(instances: Instances, row: int, share: float,
                  T_camera_base: np.ndarray | None = None) -> ArticulatedEstimate:
    """The estimate of one procedural object without any error.

    Args:
        share: of the joints' range at which it is.
        T_camera_base: (4, 4); by default the identity.
    """
    one = instances[row:row + 1]
    c = one.category
    q = one.lower + share * (one.upper - one.lower)
    T = np.eye(4) if T_camera_base is None else T_camera_base
    poses = one.part_poses(q.double(), torch.from_numpy(T)[None])[0].numpy()
    exists = [bool(x) for x in one.exists[0]]
    parts = [PartEstimate(name, poses[k], draft_mesh(one, k))
             for k, name in enumerate(c.parts) if exists[k]]
    joints = tuple(
        JointEstimate(j.name, j.joint_type, c.parts[j.parent], c.parts[j.child],
                      one.origin[0, i].double().numpy(), one.axis[0, i].double().numpy(),
                      float(q[0, i]), float(one.lower[0, i]), float(one.upper[0, i]), 0.0)
        for i, j in enumerate(c.joints) if exists[j.child])
    return ArticulatedEstimate(c.name, tuple(parts), joints, np.zeros((6, 6)), 0.0, 1.0, (),
                               np.zeros(0), np.zeros((0, 3)))


def contact_sheet(out: Path, categories: Sequence[str], count: int = 6, seed: int = 0) -> Path:
    """Write ``count`` held-out objects of each category with their contacts as one PNG."""
    groups: list[tuple[str, list[tuple[str, np.ndarray]]]] = []
    for name in categories:
        objects = sample_instances(name, count, held_out_generator(seed))
        cells = []
        for i in range(count):
            estimate = true_estimate(objects, i, OPENED)
            cells.append(('', draw_contacts(estimate, contacts(estimate), *CELL)))
        legend = '' if groups else ': axis red, motion to open green, approach blue'
        groups.append((name + legend, cells))
    return write_sheet(groups, out)


def draw(options: argparse.Namespace) -> None:
    """Draw the sheet and print its path."""
    print(contact_sheet(options.out, options.category or list(CATEGORIES), options.count,
                        options.seed))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the sheet; returns the exit status."""
    parser = Parser('contact_sheet', 'Draw where moving parts are held.')
    parser.add_argument('--out', type=Path, default=Path('docs/images/contacts.png'))
    parser.add_argument('--category', choices=sorted(FAMILIES), action='append',
                        help='default: all')
    parser.add_argument('--count', type=int, default=6)
    parser.add_argument('--seed', type=int, default=0)
    return run(parser, draw, arguments)


if __name__ == '__main__':
    sys.exit(main())
