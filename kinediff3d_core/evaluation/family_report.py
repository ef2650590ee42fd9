"""How near the procedural families are to other people's objects: a page and contact sheets.

    python -m kinediff3d_core.evaluation.family_report --objects DIR --out docs

For each object the smallest Chamfer distance to instances of the training stream, and the same
for held-out instances of the family itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kinediff3d_core.cli.arguments import DONE, UNUSABLE, Parser
from kinediff3d_core.data.mesh_objects import (
    MeshObject,
    category_of,
    list_objects,
    load_object,
    visible_surface,
)
from kinediff3d_core.data.raycasting import import_open3d
from kinediff3d_core.evaluation.evaluate import draft_mesh
from kinediff3d_core.evaluation.metrics import SAMPLES, bounding_radius, chamfer, moved_mesh
from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.category import CATEGORIES, get_category
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.simulation.families import (
    FAMILIES,
    TEST_SEED_OFFSET,
    held_out_generator,
    sample_instances,
)
from kinediff3d_core.simulation.solids import FAR, Instances, slab_distance
from kinediff3d_core.visualization.preview import ground_under
from kinediff3d_core.visualization.rendering import (
    PART_COLOURS,
    Colour,
    Scene,
    View,
    fitted,
    render,
)

Array = np.ndarray[Any, Any]

SEARCHED = 512
"""Points a cloud while all instances are gone through."""

FINALISTS = 3
"""The nearest of that search are measured again, with ``metrics.SAMPLES`` points."""

HELD_OUT = 18
"""Instances that stand for the family itself, and are on the contact sheet."""

CELL, COLUMNS = (196, 146), 6
"""Width and height of a picture on the contact sheet, px, and how many stand side by side."""

OPENED = 0.6
"""Joint positions on the contact sheet, as a share of the range."""

EYE = (0.72, 0.48, 0.50)
"""From where the contact sheets look at objects, in the base frame."""

TOLERANCE, OUTSIDE = 2e-5, 1e-4
"""Points are on a surface that is nearer than the first; they are drawn so far outside of it that
its normal is exact, m."""


# Surfaces


def surface_clouds(instances: Instances, n: int, generator: torch.Generator, chunk: int = 32,
                   ) -> Tensor:
    """Points (B, n, 3), m, on instances at q = 0, in the base frame.

    They are uniform by area over all parts that exist, each part looked at alone. Unlike
    :meth:`Instances.surface_points` this draws on the slabs that were cut away, too, so that the
    walls and floors of cavities get their share.
    """
    clouds = []
    for rows in torch.arange(len(instances)).split(chunk):  # type: ignore[no-untyped-call]
        few = instances[rows]
        J = len(few.category.joints)
        pivots = few.part_poses(torch.zeros(len(few), J), torch.eye(4).expand(len(few), 4, 4))
        found: list[list[Tensor]] = [[] for _ in rows]
        todo = list(range(len(few)))
        while todo:
            left = torch.tensor(todo)
            index, part, p = _on_slabs(few[left], 2 * n, generator)
            p = p + pivots[left[index], part, :3, 3]
            for i, row in enumerate(todo):
                found[row].append(p[index == i])
            todo = [row for row in todo if sum(map(len, found[row])) < n]
        for points in map(torch.cat, found):
            clouds.append(points[torch.randperm(len(points), generator=generator)[:n]])
    return torch.stack(clouds)


def _on_slabs(instances: Instances, n: int, generator: torch.Generator,
              ) -> tuple[Tensor, Tensor, Tensor]:
    """Draws n points an instance on its slabs and keeps those on the surface of their part.

    Returns:
        instance (C,), part (C,), points (C, 3) in the part's frame, m; C <= B n.
    """
    B, S = instances.present.shape
    part = torch.tensor([s.part for s in instances.slots])
    axis = torch.tensor([s.axis for s in instances.slots])

    # Of each slab's faces, what lies in the box of its part: cuts reach far beyond it.
    pick = torch.tensor([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    box = torch.stack([instances.bounds[:, part][:, :, pick[:, a], a] for a in range(3)], dim=-1)
    box = (box - instances.centre[:, :, None]) @ instances.rotation
    reach = instances.corner[..., None] + TOLERANCE
    low, high = box.amin(2) - reach, box.amax(2) + reach
    first, last = torch.maximum(low, -instances.half), torch.minimum(high, instances.half)
    size = (last - first).clamp_min(0)
    area = torch.stack([size[..., 1] * size[..., 2], size[..., 0] * size[..., 2],
                        size[..., 0] * size[..., 1]], dim=-1) * instances.present[..., None]
    faces = torch.stack([area * (low <= -instances.half), area * (instances.half <= high)], dim=-1)
    choice = torch.multinomial(faces.flatten(1), n, replacement=True, generator=generator)
    choice = choice.flatten()
    row = torch.arange(B).repeat_interleave(n)
    slot, across, side = choice // 6, choice // 2 % 3, choice % 2 * 2.0 - 1
    x = torch.rand(B * n, 3, generator=generator) * size[row, slot] + first[row, slot]
    x = torch.where(torch.nn.functional.one_hot(across, 3).bool(),
                    side[:, None] * (instances.half[row, slot] + OUTSIDE), x)

    # Onto the slab; the square of the cosine makes up for denser points at rounded corners.
    keep = torch.rand(B * n, generator=generator)
    for a in range(3):
        on = torch.nonzero(axis[slot] == a)[:, 0]
        of = row[on], slot[on]
        with torch.enable_grad():
            y = x[on].requires_grad_()
            d = slab_distance(y, instances.half[of], instances.corner[of], instances.edge[of], a)
            (normal,) = torch.autograd.grad(d.sum(), y)
        x[on] = (y - d[:, None] * normal).detach()
        keep[on] -= normal.gather(1, across[on, None])[:, 0] ** 2
    chosen = torch.nonzero(keep < 0)[:, 0]
    row, slot, x = row[chosen], slot[chosen], x[chosen]
    x = (instances.rotation[row, slot] @ x[..., None])[..., 0] + instances.centre[row, slot]
    gap = torch.full_like(x[:, 0], FAR)
    for k in range(instances.num_parts):
        on = torch.nonzero(part[slot] == k)[:, 0]
        gap[on] = instances.sdf_at(k, row[on], x[on])
    good = gap.abs() < TOLERANCE
    return row[good], part[slot[good]], x[good]


def object_cloud(obj: MeshObject, n: int, rng: np.random.Generator) -> Array:
    """Points (n, 3), m, on an object at q = 0, in the base frame.

    Uniform by area over what can be seen from outside of its parts, each looked at alone.

    Raises:
        ValueError: a part without area.
    """
    J = len(obj.joints)
    poses = obj.part_poses(torch.zeros(J, dtype=torch.float64),
                           torch.eye(4, dtype=torch.float64)).numpy()
    seen = [visible_surface(mesh, 2 * n, rng) for mesh in obj.meshes]
    area = np.array([a for _, _, a in seen])
    counts = rng.multinomial(n, area / area.sum())
    return np.concatenate([
        points[rng.choice(len(points), m, replace=m > len(points))] @ T[:3, :3].T + T[:3, 3]
        for (points, _, _), m, T in zip(seen, counts, poses, strict=True)])


# Distances


def search(cloud: Tensor, clouds: Tensor, chunk: int = 8) -> Tensor:
    """Chamfer distances (S,), m, from a cloud (N, 3) to each of clouds (S, M, 3)."""
    out = []
    for few in clouds.split(chunk):  # type: ignore[no-untyped-call]
        gap = torch.cdist(cloud[None], few, compute_mode='donot_use_mm_for_euclid_dist')
        out.append((gap.amin(1).mean(1) + gap.amin(2).mean(1)) / 2)
    return torch.cat(out)


class Neighbours:
    """Instances of the training stream among which the nearest to an object is looked for."""

    def __init__(self, category: str, samples: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.instances = sample_instances(category, samples, self.generator)
        self.clouds = surface_clouds(self.instances, SEARCHED, self.generator)
        self.fine: dict[int, Array] = {}

    def nearest(self, cloud: Array) -> tuple[float, int]:
        """Smallest Chamfer distance from a cloud (N, 3), m, and the instance it belongs to.

        In thousandths of the radius of the cloud's bounding sphere.
        """
        some = np.linspace(0, len(cloud) - 1, SEARCHED).round().astype(int)
        order = np.random.default_rng(0).permutation(len(cloud))
        rough = search(torch.from_numpy(cloud[order[some]]).float(), self.clouds)
        radius = bounding_radius(cloud)
        return min((chamfer(cloud, self._fine(i), radius), i)
                   for i in rough.argsort()[:FINALISTS].tolist())

    def _fine(self, i: int) -> Array:
        """Points (SAMPLES, 3) on instance i."""
        if i not in self.fine:
            one = self.instances[i:i + 1]
            self.fine[i] = surface_clouds(one, SAMPLES, self.generator)[0].double().numpy()
        return self.fine[i]


# Contact sheets


def instance_meshes(instances: Instances, row: int, share: float) -> dict[int, Mesh]:
    """Meshes by part of one instance, base frame, m, joints at ``share`` of their range."""
    one = instances[row:row + 1]
    q = one.lower + share * (one.upper - one.lower)
    poses = one.part_poses(q, torch.eye(4)[None])[0].double().numpy()
    return {k: moved_mesh(poses[k], draft_mesh(one, k))
            for k in torch.nonzero(one.exists[0])[:, 0].tolist()}


def object_meshes(obj: MeshObject, share: float) -> dict[int, Mesh]:
    """The same of an object made of meshes."""
    q = torch.from_numpy(obj.lower + share * (obj.upper - obj.lower)).double()
    poses = obj.part_poses(q, torch.eye(4, dtype=torch.float64)).numpy()
    names = CATEGORIES[obj.category].parts
    return {names.index(name): moved_mesh(T, mesh)
            for name, T, mesh in zip(obj.parts, poses, obj.meshes, strict=True)}


def picture(meshes: dict[int, Mesh]) -> Array:
    """Parts in the base frame in their colours, three quarters from the front: (H, W, 3) uint8."""
    back = np.array(EYE) / np.linalg.norm(EYE)
    x = np.cross(-back, (0.0, 0.0, 1.0))
    x /= np.linalg.norm(x)
    shapes = tuple(meshes.values())
    points = np.concatenate([m.vertices for m in shapes])
    centre = (points.min(0) + points.max(0)) / 2
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(-back, x), -back])
    T[:3, 3] = -T[:3, :3] @ (centre + 5 * np.linalg.norm(np.ptp(points, axis=0)) * back)
    view = fitted(View(T, 1.0, 0.0, 0.0, *CELL), points)
    colours: tuple[Colour, ...] = tuple(PART_COLOURS[k % len(PART_COLOURS)] for k in meshes)
    return render(Scene(shapes, colours, ground=ground_under(shapes, np.eye(4))), view)


def write_sheet(groups: Sequence[tuple[str, Sequence[tuple[str, Array]]]], out: Path) -> Path:
    """Write groups of pictures under a line of text each, every picture with its own below it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    gap, head, foot, dpi = 4, 26, 16, 100
    rows = [-(-len(cells) // COLUMNS) for _, cells in groups]
    width = COLUMNS * (CELL[0] + gap) + gap
    height = sum(head + n * (CELL[1] + foot) for n in rows) + gap
    page = np.full((height, width, 3), 255, dtype=np.uint8)
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    canvas = FigureCanvasAgg(figure)
    top = 0
    for (title, cells), n in zip(groups, rows, strict=True):
        figure.text(2 * gap / width, 1 - (top + head / 2) / height, title, fontsize=10.5,
                    va='center', weight='bold', color='0.15')
        for i, (name, image) in enumerate(cells):
            left = gap + i % COLUMNS * (CELL[0] + gap)
            y = top + head + i // COLUMNS * (CELL[1] + foot)
            page[y:y + CELL[1], left:left + CELL[0]] = image
            figure.text((left + CELL[0] / 2) / width, 1 - (y + CELL[1] + foot / 2) / height, name,
                        fontsize=7.5, va='center', ha='center', color='0.3')
        top += head + n * (CELL[1] + foot)
    figure.figimage(page, zorder=-1)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    out.parent.mkdir(parents=True, exist_ok=True)
    # With a palette the file is a third of the size.
    Image.fromarray(drawn).convert('RGB').quantize(64).save(out, optimize=True)
    return out


# The report


@dataclass(frozen=True)
class Report:
    """One category.

    Attributes:
        objects: Chamfer distance to the nearest instance by object's name.
        own: the same of held-out instances (``HELD_OUT``).
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
    def strangers(self) -> list[str]:
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
                floors.append(chamfer(cloud, again, bounding_radius(cloud)))
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
            ', '.join(_short(r, x) for x in r.strangers) or '–']) + ' |')
    return '\n'.join(lines)


def _short(report: Report, name: str) -> str:
    return name.removeprefix(report.category + '_')


def page(reports: Sequence[Report], notes: Sequence[str], command: str, samples: int) -> str:
    """The text of ``families.md``."""
    told = [f'- {_short(r, name)} ({r.category}): {why}' for r in reports
            for name, why in r.failed.items()]
    skipped = ['', 'Left out:', '', *(f'- {note}' for note in notes), *told] \
        if notes or told else []
    pictures = [line for r in reports
                for line in ('', f'![{r.category}]({"/".join(r.sheet.parts[-2:])})')]
    return '\n'.join([
        '# Procedural families compared with third-party objects', '',
        'After reading this page you know how far third-party objects are from the procedural '
        'objects of each category. The', 'networks are trained on procedural objects only. This '
        'command writes the page:', '', '```', command, '```', '',
        '## Method', '',
        'For each third-party object, the table gives the smallest Chamfer distance to '
        f'{samples} instances of the training', 'stream. The unit is the one of '
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
        'part are kept on both sides, because a mesh that is not watertight does not tell whether '
        'a point is', 'inside it.', '',
        'An object is *out of distribution* if it is farther from the family than every held-out '
        'member of the family.', '',
        '## Distances', '',
        table(reports), *skipped, '', '## Contact sheets', '',
        f'The joints are at {OPENED:.0%} of their range. Each object is scaled to fill its cell. '
        'The third-party objects belong to', 'their owners and are not part of this project.',
        *pictures]) + '\n'


def run(root: Path, out: Path, category: str = 'all', samples: int = 500, seed: int = 0,
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
        mine = [folder for folder in folders if category_of(folder) == name]
        if name not in FAMILIES:
            notes.append(f'{name}: no procedural family yet')
        elif not mine:
            notes.append(f'{name}: no objects')
        else:
            try:
                reports.append(compare(name, mine, out, samples, seed))
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
    """Returns the exit status."""
    parser = Parser(prog='python -m kinediff3d_core.evaluation.family_report',
                    description='Compare the procedural families with objects of others.')
    parser.add_argument('--objects', type=Path, required=True, metavar='DIR',
                        help='one folder an object, its category before the first "_"')
    parser.add_argument('--out', type=Path, default=Path('docs'), metavar='DIR',
                        help='for families.md and images/families_<category>.png (default docs)')
    parser.add_argument('--category', default='all', metavar='C')
    parser.add_argument('--samples', type=int, default=500, metavar='N',
                        help='training instances to look among (default 500)')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Where the objects lie on this machine is nobody's business.
    command = ' '.join([parser.prog, *given]).replace(str(options.objects), 'DIR')
    try:
        run(options.objects, options.out, options.category, options.samples, options.seed,
            command)
    except (ValueError, OSError) as error:
        print(f'kinediff3d: error: {" ".join(str(error).split())}', file=sys.stderr)
        return UNUSABLE
    return DONE


if __name__ == '__main__':
    sys.exit(main())
