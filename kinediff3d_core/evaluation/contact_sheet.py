"""Contact sheet of where moving parts are held, on held-out procedural objects.

    python -m kinediff3d_core.evaluation.contact_sheet --out docs/images/contacts.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kinediff3d_core.evaluation.exact_estimate import exact_estimate
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.sheet import CELL, write_sheet
from kinediff3d_core.evaluation.true_meshes import draft_mesh
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.simulation.families import FAMILIES, held_out_generator, sample_instances
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.visualization.preview import draw_contacts

OPENED = 0.45
"""Joint positions, as a share of the range."""


def true_estimate(instances: Instances, row: int, share: float) -> ArticulatedEstimate:
    """The estimate of one procedural object without any error, its base at the camera.

    Args:
        share: of the joints' range at which it is.
    """
    one = instances[row:row + 1]
    q = one.lower + share * (one.upper - one.lower)
    meshes = {name: draft_mesh(one, k) for k, name in enumerate(one.category.parts)
              if one.exists[0, k]}
    return exact_estimate(one, meshes, q[0].double().numpy(), np.eye(4))


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
