"""Fits with the true shape, and what the table of joint errors says."""

from __future__ import annotations

import numpy as np
import torch

from kinediff3d_core import Pipeline
from kinediff3d_core.evaluation.joint_sweeps import fitted_errors, main, row
from kinediff3d_core.evaluation.true_shape import TrueShape
from kinediff3d_core.networks.kavae import FAR
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.views import TEST_CAMERA
from kinediff3d_core.training.pool import sample_shapes


def test_a_true_shape_has_the_exact_distances_in_canonical_units() -> None:
    generator = held_out_generator(0)
    cabinets = sample_instances('drawer', 8, generator)
    index = int(torch.nonzero(~cabinets.exists[:, 4])[0])
    one = cabinets[index:index + 1]
    shapes, shape = sample_shapes(one, generator), TrueShape(one)
    distance = shape.query(None, shapes.query)
    exists = one.exists[0]
    torch.testing.assert_close(distance[:, exists], shapes.distance[:, exists], atol=1e-5, rtol=0)
    assert (distance[:, ~exists] == FAR).all()
    surface = shapes.surface.clone()
    nearest, gradient, part = shape.nearest(None, surface)
    assert nearest.abs().max() < 1e-3 and exists[part].all()
    assert (gradient.norm(dim=-1) - 1).abs().median() < 1e-3


def test_a_fit_of_the_true_shape_is_not_biased() -> None:
    scene = SimulatedScene.sample('stapler', 0, 1, TEST_CAMERA, states=1)
    camera = SimulatedCamera(scene, table=True)
    errors = fitted_errors(Pipeline.load('stapler'), scene, camera)
    assert set(errors) == {'true shape', 'reconstruction, true surface samples',
                           'reconstruction'}
    assert abs(errors['true shape'][0][0]) < 0.5
    assert abs(errors['reconstruction'][0][0]) < 2.0


def test_the_signed_median_shows_a_bias_of_each_joint() -> None:
    errors = [np.array([5.0, -1.0, np.nan]), np.array([5.2, 1.1, np.nan]),
              np.array([4.8, 0.0, np.nan])]
    assert row(errors) == ['3.0', '5.2', '+5.0, +0.0']
    assert row([np.full(2, np.nan)]) == ['–', '–', '–']


def test_an_unknown_category_ends_in_one_line(capsys) -> None:
    try:
        main(['--categories', 'teapot'])
    except SystemExit as end:
        assert end.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
