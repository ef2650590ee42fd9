"""Meshes of procedural objects against their exact distance."""

import numpy as np
import torch

from kinediff3d_core.evaluation.true_meshes import true_mesh
from kinediff3d_core.simulation.families import held_out_generator, sample_instances


def test_true_meshes_lie_on_the_exact_surface():
    instances = sample_instances('laptop', 2, held_out_generator(0))
    for i in range(2):
        one = instances[i:i + 1]
        for part in range(2):
            mesh = true_mesh(one, part)
            p = torch.from_numpy(mesh.vertices).float()[None]
            d = one.part_sdf(part, p).abs()
            assert d.mean() < 2e-5 and d.quantile(0.99) < 2e-4
            bounds = one.bounds[0, part].numpy()
            np.testing.assert_allclose(mesh.vertices.min(0), bounds[0], atol=1e-3)
            np.testing.assert_allclose(mesh.vertices.max(0), bounds[1], atol=1e-3)
