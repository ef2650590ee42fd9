"""Distances between the procedural families and third-party objects: a page and contact sheets.

    python -m kinediff3d_core.evaluation.family_report --objects DIR --out docs

It gives the smallest Chamfer-L1 distance of each object to instances of the training stream, and
the same for held-out instances of the family itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kinediff3d_core.data.mesh_objects import (
    MeshObject,
    category_of,
    list_objects,
    load_object,
)
from kinediff3d_core.data.raycasting import import_open3d
from kinediff3d_core.data.surfaces import bounding_radius
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.shape_metrics import SAMPLES, chamfer_l1, nearest_distances
from kinediff3d_core.evaluation.sheet import CELL, write_sheet
from kinediff3d_core.evaluation.surface_clouds import object_cloud, surface_clouds
from kinediff3d_core.evaluation.true_meshes import draft_mesh
from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.category import CATEGORIES, get_category
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.simulation.families import (
    FAMILIES,
    TEST_SEED_OFFSET,
    held_out_generator,
    sample_instances,
)
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.visualization.rasterizer import render
from kinediff3d_core.visualization.scene import RenderedScene, ground_under, part_colours
from kinediff3d_core.visualization.virtual_camera import three_quarter_view

Array = np.ndarray[Any, Any]

SEARCHED = 512
"""Points of a cloud in the search over all instances."""

FINALISTS = 3
"""The nearest of that search are measured again, with ``metrics.SAMPLES`` points."""

HELD_OUT = 18
"""Held-out instances that represent the family, and are on the contact sheet."""

OPENED = 0.6
"""Joint positions on the contact sheet, as a share of the range."""

def search(cloud: Tensor, clouds: Tensor, chunk: int = 8) -> Tensor:
    """Chamfer distances (S,), m, from a cloud (N, 3) to each of clouds (S, M, 3)."""
    out = []
    for few in clouds.split(chunk):  # type: ignore[no-untyped-call]
        gap = torch.cdist(cloud[None], few, compute_mode='donot_use_mm_for_euclid_dist')
        out.append((gap.amin(1).mean(1) + gap.amin(2).mean(1)) / 2)
    return torch.cat(out)


class Neighbours:
    """Instances of the training stream, to find the nearest one to an object."""

    def __init__(self, category: str, samples: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.instances = sample_instances(category, samples, self.generator)
        self.clouds = surface_clouds(self.instances, SEARCHED, self.generator)
        self.fine: dict[int, Array] = {}

    def nearest(self, cloud: Array) -> tuple[float, int]:
        """Smallest Chamfer-L1 distance from a cloud (N, 3), m, and the instance it belongs to.

        In thousandths of the radius of the cloud's bounding sphere.
        """
        rows = np.linspace(0, len(cloud) - 1, SEARCHED).round().astype(int)
        order = np.random.default_rng(0).permutation(len(cloud))
        rough = search(torch.from_numpy(cloud[order[rows]]).float(), self.clouds)
        radius = bounding_radius(cloud)
        return min((_distance(cloud, self._fine(i), radius), i)
                   for i in rough.argsort()[:FINALISTS].tolist())

    def _fine(self, i: int) -> Array:
        """Points (SAMPLES, 3) on instance i."""
        if i not in self.fine:
            one = self.instances[i:i + 1]
            self.fine[i] = surface_clouds(one, SAMPLES, self.generator)[0].double().numpy()
        return self.fine[i]


def _distance(a: Array, b: Array, radius: float) -> float:
    """Chamfer-L1 distance of points (N, 3) and (M, 3) in thousandths of ``radius``."""
    near = nearest_distances(a, b)
    return chamfer_l1(near.a_to_b, near.b_to_a, radius)


def instance_meshes(instances: Instances, row: int, share: float) -> dict[int, Mesh]:
    """Meshes by part of one instance, base frame, m, joints at ``share`` of their range."""
    one = instances[row:row + 1]
    q = one.lower + share * (one.upper - one.lower)
    poses = one.part_poses(q, torch.eye(4)[None])[0].double().numpy()
    return {k: transform_mesh(poses[k], draft_mesh(one, k))
            for k in torch.nonzero(one.exists[0])[:, 0].tolist()}


def object_meshes(obj: MeshObject, share: float) -> dict[int, Mesh]:
    """Meshes by part of an imported object, base frame, m, joints at ``share`` of their range."""
    q = torch.from_numpy(obj.lower + share * (obj.upper - obj.lower)).double()
    poses = obj.part_poses(q, torch.eye(4, dtype=torch.float64)).numpy()
    names = CATEGORIES[obj.category].parts
    return {names.index(name): transform_mesh(T, mesh)
            for name, T, mesh in zip(obj.parts, poses, obj.meshes, strict=True)}


def picture(meshes: dict[int, Mesh]) -> Array:
    """Parts in the base frame in their colours, from front, side and above: (H, W, 3) uint8."""
    shapes, base = tuple(meshes.values()), np.eye(4)
    camera = three_quarter_view(np.concatenate([m.vertices for m in shapes]), base, *CELL)
    colours = part_colours(1 + max(meshes))
    return render(RenderedScene(shapes, tuple(colours[k] for k in meshes),
                                ground=ground_under(shapes, base)), camera)


@dataclass(frozen=True)
class Report:
    """One category.

    Attributes:
        objects: Chamfer-L1 distance to the nearest instance by object's name.
        own: distances of held-out instances (``HELD_OUT``) to the nearest instance.
        floor: mean distance between two draws from one and the same instance.
        failed: name and reason of objects that could not be used.
        sheet: the picture.
    """

    category: str
    objects: dict[str, float]
    own: tuple[float, ...]
    floor: float
    failed: dict[str, str]
    sheet: Path

    @property
    def out_of_distribution(self) -> list[str]:
        """Objects further from the family than any held-out instance, the furthest first."""
        far = [name for name, cd in self.objects.items() if cd > max(self.own)]
        return sorted(far, key=lambda name: -self.objects[name])


def compare(category: str, folders: Sequence[Path], out: Path, samples: int = 500, seed: int = 0,
            ) -> Report:
    """Measure the distances of one category and write its contact sheet.

    Raises:
        ValueError: no family of that name, or none of the objects can be used.
    """
    with tqdm(total=1 + HELD_OUT + len(folders), desc=category, disable=None) as bar:
        near = Neighbours(category, samples, seed)
        bar.update()
        generator, rng = held_out_generator(seed), np.random.default_rng(seed)
        held_out = sample_instances(category, HELD_OUT, generator)
        own, floors, ours = [], [], []
        for i in range(HELD_OUT):
            cloud = surface_clouds(held_out[i:i + 1], SAMPLES, generator)[0].double().numpy()
            own.append(near.nearest(cloud)[0])
            if i < 4:
                again = surface_clouds(held_out[i:i + 1], SAMPLES, generator)[0].double().numpy()
                floors.append(_distance(cloud, again, bounding_radius(cloud)))
            ours.append((f'{own[i]:.0f}', picture(instance_meshes(held_out, i, OPENED))))
            bar.update()
        objects, failed, others = {}, {}, []
        for folder in folders:
            name = folder.resolve().name
            try:
                obj = load_object(folder)
                objects[name] = near.nearest(object_cloud(obj, SAMPLES, rng))[0]
            except ValueError as error:
                failed[name] = str(error).replace(f'{folder}/', '')
            else:
                label = f'{name.removeprefix(category + "_")}: {objects[name]:.0f}'
                others.append((label, picture(object_meshes(obj, OPENED))))
            bar.update()
        if not objects:
            raise ValueError(f'none of the {len(folders)} {category} objects can be used; '
                             + '; '.join(f'{name}: {why}' for name, why in failed.items()))
    sheet = write_sheet([
        (f'{category}: procedural, held out. Below each: Chamfer distance to the nearest of '
         f'{samples} training instances', ours),
        (f'{category}: third-party objects, to the same training instances', others),
    ], out / 'images' / f'families_{category}.png')
    return Report(category, objects, tuple(own), float(np.mean(floors)), failed, sheet)


HEADER = ('category', 'objects', 'mean', 'worst', 'family: mean', 'worst', 'floor',
          'out of distribution')


def table(reports: Sequence[Report]) -> str:
    """The figures as a Markdown table."""
    lines = ['| ' + ' | '.join(HEADER) + ' |', '|' + '---|' * len(HEADER)]
    for r in reports:
        name = max(r.objects, key=lambda x: r.objects[x])
        lines.append('| ' + ' | '.join([
            r.category, str(len(r.objects)), f'{np.mean(list(r.objects.values())):.1f}',
            f'{r.objects[name]:.1f} ({_short(r, name)})', f'{np.mean(r.own):.1f}',
            f'{max(r.own):.1f}', f'{r.floor:.1f}',
            ', '.join(_short(r, x) for x in r.out_of_distribution) or '–']) + ' |')
    return '\n'.join(lines)


def _short(report: Report, name: str) -> str:
    return name.removeprefix(report.category + '_')


def page(reports: Sequence[Report], notes: Sequence[str], command: str, samples: int) -> str:
    """The text of ``families.md``."""
    failed = [f'- {_short(r, name)} ({r.category}): {why}' for r in reports
            for name, why in r.failed.items()]
    skipped = ['', 'Left out:', '', *(f'- {note}' for note in notes), *failed] \
        if notes or failed else []
    pictures = [line for r in reports
                for line in ('', f'![{r.category}]({"/".join(r.sheet.parts[-2:])})')]
    return '\n'.join([
        '# Procedural families compared with third-party objects', '',
        'After reading this page you know how far third-party objects are from the procedural '
        'objects of each category. The', 'networks are trained on procedural objects only. This '
        'command writes the page:', '', '```', command, '```', '',
        '## Method', '',
        'For each third-party object, the table gives the smallest Chamfer-L1 distance to '
        f'{samples} instances of the training', 'stream. The unit is that of `cd_l1_*` in '
        '[evaluation.md](evaluation.md): thousandths of the radius of the object\'s bounding',
        'sphere. All joints are at zero, and the base frames coincide. The same distance is '
        f'measured for {HELD_OUT} held-out', 'instances of the family. It shows how far apart the '
        'members of one family are.', '',
        f'The search compares {SEARCHED:,} points of each cloud with all instances. The '
        f'{FINALISTS} nearest instances are then measured', f'again with {SAMPLES:,} points. '
        '`floor` is the distance between two draws of that many points from one instance.', '',
        'Points are drawn uniformly by area over the parts that exist. Each part is sampled '
        'without the others. On meshes, only', 'surface that is visible from outside counts. '
        'Procedural parts are solid and have no inner walls. Points that lie', 'inside another '
        'part are kept on both sides, because a mesh that is not watertight does not show whether '
        'a point is', 'inside it.', '',
        'An object is *out of distribution* if it is farther from the family than every held-out '
        'member of the family.', '',
        '## Distances', '',
        table(reports), *skipped, '', '## Contact sheets', '',
        f'The joints are at {OPENED:.0%} of their range. Each object is scaled to fill its cell. '
        'The third-party objects belong to', 'their owners and are not part of this project.',
        *pictures]) + '\n'


def write_report(root: Path, out: Path, category: str = 'all', samples: int = 500, seed: int = 0,
        command: str = '') -> list[Report]:
    """Compare the families with the objects in ``root``; writes and prints ``families.md``.

    Raises:
        ValueError: bad arguments, or nothing to compare.
    """
    if samples < FINALISTS:
        raise ValueError(f'--samples must be at least {FINALISTS}, got {samples}')
    if not 0 <= seed < TEST_SEED_OFFSET:
        raise ValueError(f'--seed must be in 0..{TEST_SEED_OFFSET - 1}, got {seed}')
    names = list(CATEGORIES) if category == 'all' else [get_category(category).name]
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out} is not a folder')
    folders = list_objects(root, None if category == 'all' else category)
    import_open3d()
    reports, notes = [], []
    for name in names:
        own = [folder for folder in folders if category_of(folder) == name]
        if name not in FAMILIES:
            notes.append(f'{name}: no procedural family yet')
        elif not own:
            notes.append(f'{name}: no objects')
        else:
            try:
                reports.append(compare(name, own, out, samples, seed))
            except ValueError as error:
                notes.append(f'{name}: {error}')
    if not reports:
        raise ValueError('nothing to compare: ' + '; '.join(notes))
    write_text(out / 'families.md', page(reports, notes, command, samples))
    for r in reports:
        for label, cd in sorted(r.objects.items(), key=lambda x: -x[1]):
            print(f'{label}: {cd:.1f}')
        for label, why in r.failed.items():
            print(f'{label} left out: {why}')
    for note in notes:
        print(f'skipped {note}')
    print(table(reports))
    return reports


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and write the page; returns the exit status."""
    parser = Parser('family_report', 'Compare the procedural families with third-party objects.')
    parser.add_argument('--objects', type=Path, required=True, metavar='DIR',
                        help='one folder an object, its category before the first "_"')
    parser.add_argument('--out', type=Path, default=Path('docs'), metavar='DIR',
                        help='for families.md and images/families_<category>.png (default docs)')
    parser.add_argument('--category', default='all', metavar='C')
    parser.add_argument('--samples', type=int, default=500, metavar='N',
                        help='training instances that are searched (default 500)')
    parser.add_argument('--seed', type=int, default=0)
    given = sys.argv[1:] if arguments is None else list(arguments)

    def report(options: argparse.Namespace) -> None:
        # The page does not show where the objects are on this machine.
        command = ' '.join([parser.prog, *given]).replace(str(options.objects), 'DIR')
        write_report(options.objects, options.out, options.category, options.samples,
                     options.seed, command)

    return run(parser, report, arguments)


if __name__ == '__main__':
    sys.exit(main())
