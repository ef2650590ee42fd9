"""Pictures of shape codes, decoded in many joint states and interpolated, and of test views.

    python -m kinediff3d_core.evaluation.pictures --category laptop --out docs/images
    python -m kinediff3d_core.evaluation.pictures --gallery --out docs/images
    python -m kinediff3d_core.evaluation.pictures --worst docs/results/procedural.jsonl

The second command draws one held-out view of every category that has weights, the third one the
three worst views of each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.evaluation.evaluate import infer
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.records import read_all_records
from kinediff3d_core.evaluation.samples import SAMPLES_A_SEED, procedural_samples
from kinediff3d_core.evaluation.sheet import CELL, write_sheet
from kinediff3d_core.evaluation.true_meshes import draft_mesh
from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.inference.part_sets import possible_log_odds
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.views import joint_range
from kinediff3d_core.training.pool import sample_shapes
from kinediff3d_core.visualization.panels import write_panels
from kinediff3d_core.visualization.preview import draw_panels
from kinediff3d_core.visualization.rasterizer import render
from kinediff3d_core.visualization.scene import RenderedScene, ground_under, part_colours
from kinediff3d_core.visualization.virtual_camera import side_view


def posed_parts(pipeline: Pipeline, z: Tensor, q: Tensor) -> tuple[Mesh, ...]:
    """Part meshes of a code z (D) at q (J), rad or m, in the base's frame, metres."""
    c = pipeline.category
    field = pipeline.shape.decode(z[None], (q / pipeline.units)[None])
    field = replace(field, exists=possible_log_odds(field.exists, c))
    poses = forward_kinematics(c.joints, torch.eye(4, dtype=torch.float64), q.double(),
                               field.origin[0].double() * c.scale,
                               pipeline.shape.axis.double())[field.exists[0] > 0].numpy()
    return tuple(transform_mesh(T, m)
                 for m, T in zip(pipeline.meshes(field), poses, strict=True))


def draw_row(objects: Sequence[tuple[str, tuple[Mesh, ...]]], out: Path, title: str) -> Path:
    """Objects in the base's frame, one beside the other, all from one viewpoint."""
    # A camera in front of the object, level with it: z of the picture along -x of the base.
    T = np.array([[0.0, 1, 0, 0], [0, 0, -1, 0], [-1, 0, 0, 1.5], [0, 0, 0, 1]])
    moved = [(name, tuple(transform_mesh(T, m) for m in meshes))
             for name, meshes in objects]
    everything = np.concatenate([m.vertices for _, meshes in moved for m in meshes])
    camera = side_view(everything, T, width=300, height=260)
    return write_panels([(name, render(RenderedScene(meshes, part_colours(len(meshes)),
                                          ground=ground_under(meshes, T)), camera))
                      for name, meshes in moved], out, title)


@torch.no_grad()
def draw_latent_pictures(category: str, out: Path, seed: int = 0, panels: int = 6,
                         weights: Path | None = None) -> tuple[Path, Path]:
    """Write ``<category>_states.png`` (keep Z, change A) and ``<category>_interpolation.png``.

    Codes are those of two held-out objects, encoded from complete clouds.
    """
    pipeline = Pipeline.load(category, weights=weights)
    net = pipeline.shape
    generator = held_out_generator(seed)
    two = sample_instances(category, 2, generator)
    shapes = sample_shapes(two, generator)
    codes, _ = net.encode(shapes.surface, shapes.centre, shapes.half, shapes.origin, two.exists)
    low, high = joint_range(pipeline.category)
    states, between = [], []
    for i in range(panels):
        share = i / (panels - 1)
        q = low + share * (high - low)
        label = position_text((j.joint_type, float(x))
                     for x, j in zip(q, pipeline.category.joints, strict=True))
        states.append((f'A = {label}', posed_parts(pipeline, codes[0], q)))
        middle = low + 0.75 * (high - low)
        z = (1 - share) * codes[0] + share * codes[1]
        between.append((f'{share:.1f}', posed_parts(pipeline, z, middle)))
    return (draw_row(states, out / f'{category}_states.png',
                     'one shape code Z, decoded at other joint positions A'),
            draw_row(between, out / f'{category}_interpolation.png',
                     'between the codes of two held-out objects'))


def draw_gallery(out: Path, categories: Sequence[str], seed: int = 0, index: int = 0) -> Path:
    """Write one test view of each category as a PNG: points, estimate with its axes, truth."""
    cells = [cell for name in categories
             for cell in draw_view(Pipeline.load(name), index, seed, f'{name}: points')]
    return write_sheet([(f'Held-out procedural objects, test view {index} of seed {seed}', cells)],
                       out)


def draw_worst(records: Path, out: Path, count: int = 3, seed: int = 0) -> Path:
    """Write the ``count`` views of each category with the largest rotation errors as a PNG.

    Args:
        records: of ``kinediff3d evaluate --records`` on procedural objects, with that seed.
    """
    sections = []
    for name, views in read_all_records(records).items():
        pipeline = Pipeline.load(name)
        errors = {r.index: r.metrics['rot_err_deg'] for r in views if r.metrics}
        worst = sorted(errors, key=lambda index: -errors[index])[:count]
        sections.append((f'{name}: the largest rotation errors of {len(views)} views', [
            cell for index in worst for cell in draw_view(
                pipeline, index, seed, f'view {index}: {errors[index]:.1f}° off')]))
    return write_sheet(sections, out)


def draw_view(pipeline: Pipeline, index: int, seed: int, title: str,
              ) -> list[tuple[str, np.ndarray]]:
    """Points, estimate with its axes, and truth of a procedural test view, with captions."""
    name = pipeline.category.name
    sample = procedural_samples(name, seed, shapes=False)(index)
    estimate = infer(pipeline, sample, True, seed)
    one = sample_instances(name, 1, held_out_generator(seed * SAMPLES_A_SEED + index))
    parts = torch.nonzero(one.exists[0])[:, 0].tolist()
    truth = tuple(transform_mesh(T, draft_mesh(one, k))
                  for k, T in zip(parts, sample.truth.T_camera_part, strict=True))
    points, _, found, true = (image for _, image in draw_panels(
        estimate, truth, sample.truth.T_camera_part[0], *CELL))
    return [(title, points),
            ('estimate: ' + position_text((j.joint_type, j.position) for j in estimate.joints),
             found),
            ('truth: ' + position_text(zip(sample.truth.joint_types, sample.truth.positions,
                                           strict=True)), true)]


def position_text(joints: Iterable[tuple[str, float]]) -> str:
    """Joint positions as text, from pairs of joint type and rad or m."""
    return ', '.join(f'{np.degrees(q):.1f}°' if kind == 'revolute' else f'{1e3 * q:.0f} mm'
                     for kind, q in joints)


def draw(options: argparse.Namespace) -> None:
    """Draw the pictures of the options and print the paths."""
    if options.gallery:
        paths = [draw_gallery(options.out / 'gallery.png', trained_categories(), options.seed)]
    elif options.worst:
        paths = [draw_worst(options.worst, options.out / 'worst.png', seed=options.seed)]
    else:
        paths = list(draw_latent_pictures(options.category, options.out, options.seed))
    for path in paths:
        print(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the pictures; returns the exit status."""
    parser = Parser('pictures', 'Pictures of decoded shape codes, or of estimated test views.')
    parser.add_argument('--gallery', action='store_true',
                        help='draw one held-out view of every category: gallery.png')
    parser.add_argument('--worst', type=Path, metavar='RECORDS',
                        help='draw the three worst views of every category: worst.png; RECORDS '
                             'are written by "kinediff3d evaluate --records"')
    parser.add_argument('--category', default='laptop')
    parser.add_argument('--out', type=Path, default=Path('docs/images'))
    parser.add_argument('--seed', type=int, default=0)
    return run(parser, draw, arguments)


if __name__ == '__main__':
    sys.exit(main())
