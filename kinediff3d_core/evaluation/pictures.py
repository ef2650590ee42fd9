"""Pictures of what the shape code holds: one Z in many joint states, and the way between two.

    python -m kinediff3d_core.evaluation.pictures --category laptop --out docs/images
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.families import held_out_generator, sample_instances
from kinediff3d_core.data.views import joint_range
from kinediff3d_core.estimate import Mesh
from kinediff3d_core.kinematics import forward_kinematics
from kinediff3d_core.pipeline import Pipeline
from kinediff3d_core.preview import PART_COLOURS, Scene, ground_under, render, side_view
from kinediff3d_core.preview import write_panels as write_row
from kinediff3d_core.training.pool import sample_shapes


def posed_parts(pipeline: Pipeline, z: Tensor, q: Tensor) -> tuple[Mesh, ...]:
    """Part meshes of a code z (D) at q (J), rad or m, in the base's frame, metres."""
    c = pipeline.category
    field = pipeline.shape.decode(z[None], (q / pipeline.units)[None])
    poses = forward_kinematics(c.joints, torch.eye(4, dtype=torch.float64), q.double(),
                               field.origin[0].double() * c.scale,
                               pipeline.shape.axis.double())[field.exists[0] > 0].numpy()
    return tuple(Mesh(m.vertices @ T[:3, :3].T + T[:3, 3], m.faces)
                 for m, T in zip(pipeline.meshes(field), poses, strict=True))


def draw_row(objects: Sequence[tuple[str, tuple[Mesh, ...]]], out: Path, title: str) -> Path:
    """Objects in the base's frame, one beside the other, all from one viewpoint."""
    # A camera in front of the object, level with it: z of the picture along -x of the base.
    T = np.array([[0.0, 1, 0, 0], [0, 0, -1, 0], [-1, 0, 0, 1.5], [0, 0, 0, 1]])
    moved = [(name, tuple(Mesh(m.vertices @ T[:3, :3].T + T[:3, 3], m.faces) for m in meshes))
             for name, meshes in objects]
    everything = np.concatenate([m.vertices for _, meshes in moved for m in meshes])
    view = side_view(everything, T, width=300, height=260)
    return write_row([(name, render(Scene(meshes, PART_COLOURS[:len(meshes)],
                                          ground=ground_under(meshes, T)), view))
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
    states, way = [], []
    for i in range(panels):
        share = i / (panels - 1)
        q = low + share * (high - low)
        label = ', '.join(f'{float(x) * 57.29578:.0f}°' if j.joint_type == 'revolute'
                          else f'{float(x) * 1e3:.0f} mm'
                          for x, j in zip(q, pipeline.category.joints, strict=True))
        states.append((f'A = {label}', posed_parts(pipeline, codes[0], q)))
        middle = low + 0.75 * (high - low)
        z = (1 - share) * codes[0] + share * codes[1]
        way.append((f'{share:.1f}', posed_parts(pipeline, z, middle)))
    return (draw_row(states, out / f'{category}_states.png',
                     'one shape code Z, decoded at other joint positions A'),
            draw_row(way, out / f'{category}_interpolation.png',
                     'between the codes of two held-out objects'))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--category', default='laptop')
    parser.add_argument('--out', type=Path, default=Path('docs/images'))
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    for path in draw_latent_pictures(arguments.category, arguments.out, arguments.seed):
        print(path)


if __name__ == '__main__':
    main()
