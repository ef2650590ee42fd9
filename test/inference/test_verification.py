"""Verification: area that the image contradicts, and how unusual a shape code is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from spheres import RADIUS, SphereShape, sphere_field, sphere_state

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.inference import verification
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.presets import VerificationConfig
from kinediff3d_core.inference.residuals import Problem, part_poses
from kinediff3d_core.inference.verification import (
    code_distance,
    contradicted_area,
    log_support,
    motion_across,
    part_distances,
    seen_side,
    unexplained_share,
)
from kinediff3d_core.networks.whitening import Whitened
from kinediff3d_core.observation.flat_face import FlatFace


@pytest.fixture
def spheres(monkeypatch):
    """A problem of two spheres, its normals and state; what is contradicted is set by the test.

    The silhouette has the area of one of the spheres.
    """
    directions = torch.nn.functional.normalize(
        torch.randn(1, 2, 4000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    field, state = sphere_field(), sphere_state()
    surface = field.centre[:, :, None] + RADIUS * directions
    made = SimpleNamespace(problem=Problem(SphereShape(), field, None, surface),
                           normals=directions, state=state,
                           of=lambda points: torch.zeros(points.shape[:-1]))
    poses = part_poses(SphereShape(), state)
    depth = transform_points(poses, field.centre[:, :, None])[0, 0, 0, 2]
    monkeypatch.setattr(verification, 'contradiction',
                        lambda observation, points: made.of(points).float())
    monkeypatch.setattr(verification, 'silhouette_area',
                        lambda observation: torch.pi * RADIUS ** 2 / depth ** 2)
    return made


def contradicted(spheres):
    return float(contradicted_area(spheres.problem, spheres.normals, spheres.state))


def test_only_surface_that_faces_the_camera_counts_by_its_area_in_the_image(spheres):
    """A cube's six faces have 24 r^2, the sphere in it 4 pi r^2, of which a quarter is seen."""
    assert contradicted(spheres) == 0.0
    first = spheres.problem.surface.shape[2] // 2

    def of_the_base(points):
        assert points.shape[2] == first, 'samples on edges have no area'
        return (torch.arange(2) == 0)[:, None].expand(points.shape[1:3])

    spheres.of = of_the_base
    assert contradicted(spheres) == pytest.approx(24 / (4 * torch.pi), rel=0.1)


def test_parts_that_do_not_exist_have_no_surface(spheres):
    spheres.of = lambda points: torch.ones(points.shape[:-1])
    both = contradicted(spheres)
    spheres.problem.field.exists[:, 1] = -1.0
    assert 0.2 * both < contradicted(spheres) < 0.8 * both


def test_points_farther_from_the_surface_than_noise_are_unexplained(spheres):
    """Two units of 0.25 m away, the noise is 0.005 * 0.25 * 4 = 0.005 units beside 0.02."""
    config = VerificationConfig(tolerance=0.02, noise_per_m2=0.005)
    centre = part_poses(SphereShape(), spheres.state)[0, 0, :3, 3]
    up = torch.tensor([0.0, -1.0, 0.0])  # at the centre's depth, away from the other sphere
    off = torch.tensor([0.0, 0.024, -0.024, 0.026, -0.026])
    points = centre + (RADIUS + off)[:, None] * up
    problem = replace(spheres.problem, observation=SimpleNamespace(points=points))
    distance = part_distances(problem, spheres.state)
    assert float(unexplained_share(problem, distance, config)) == pytest.approx(2 / 5)


ON_BASE, ON_LID, ON_LEG = torch.tensor([[1.0, 2, 3], [2, 1, 3], [2, 3, 1]])
"""Distances of a point from three parts."""


def seen(*parts, on=(), across=1.0, monkeypatch):
    """The side that is seen less, of points on these parts, and what may be of either.

    ``on`` are the points of the largest face.
    """
    distance = torch.stack(parts, dim=-1)[None]
    face = FlatFace(np.isin(np.arange(len(parts)), on), np.eye(3)[2])
    monkeypatch.setattr(verification, 'largest_face', lambda _: face)
    monkeypatch.setattr(verification, 'motion_across',
                        lambda *_: torch.full((1, len(parts)), across))
    view = SimpleNamespace(points=torch.zeros(len(parts), 3))
    found = seen_side(Problem(SphereShape(), None, view, None), None, distance,
                      VerificationConfig(across=0.5))
    return tuple(map(float, found))


def test_points_are_on_the_nearest_part_and_the_side_with_fewer_is_the_seen_one(monkeypatch):
    for parts, share in (((ON_BASE, ON_BASE, ON_BASE, ON_LID), 0.25),
                         ((ON_BASE, ON_LID, ON_LEG, ON_LEG), 0.25),
                         ((ON_LID, ON_LID, ON_LID, ON_LID), 0.0)):
        assert seen(*parts, monkeypatch=monkeypatch) == (share, 0.0)


def test_a_face_that_the_joint_would_break_is_of_one_side(monkeypatch):
    """A face of three points on the lid and two on the base, and three points beside it."""
    parts = (ON_LID, ON_LID, ON_LID, ON_BASE, ON_BASE, ON_BASE, ON_LID, ON_LID)
    face = range(5)
    assert seen(*parts, on=face, monkeypatch=monkeypatch) == (1 / 8, 2 / 8)
    assert seen(*parts, on=face, across=0.4, monkeypatch=monkeypatch) == (3 / 8, 0.0)
    assert seen(*parts, on=(2, 3, 4), monkeypatch=monkeypatch) == (4 / 8, 1 / 8)


@pytest.mark.parametrize(('normal', 'moves'), [((0, 0, 1), True), ((0, 1, 0), False)])
def test_points_move_across_a_face_as_the_joint_moves_their_part(normal, moves):
    """A sphere turns about y at its pivot: along x of it, points move along z."""
    shape, state = SphereShape(), sphere_state()
    pivot = part_poses(shape, state)[0, 1]
    points = torch.stack([transform_points(pivot, torch.tensor([[d, 0.0, 0.0]]))[0]
                          for d in (0.0, 0.5, 1.0, 0.5)])
    axis = torch.nn.functional.normalize(state.axis[0, 0], dim=0)
    side = torch.linalg.cross(axis, pivot[:3, 0])
    n = (side if moves else axis).double().numpy()
    problem = Problem(shape, sphere_field(), SimpleNamespace(
        points=points, centroid=points.mean(0)), None)
    found = motion_across(problem, state, torch.tensor([[1, 1, 1, 0]]),
                          FlatFace(np.ones(4, bool), n))
    expected = [0, 0.5, 1, 0] if moves else [0, 0, 0, 0]
    assert found[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_distance_of_codes_is_in_standard_deviations_of_the_training_objects():
    latent = Whitened(3)
    latent.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    latent.std.copy_(torch.tensor([1.0, 0.5, 2.0]))
    codes = torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.5, 5.0], [1.0, 2.0, 9.0]])
    assert code_distance(latent, codes).tolist() == pytest.approx([0.0, 1.0, 3.0])


def test_support_falls_with_all_four(monkeypatch):
    monkeypatch.setattr(verification, 'part_distances', lambda *_: None)
    monkeypatch.setattr(verification, 'hole_area', lambda _: 0.1)
    monkeypatch.setattr(verification, 'seen_side', lambda *_: (
        torch.tensor([0.2, 0.3, 0.1, 0.0]), torch.tensor([0.1, 0.0, 0.1, 0.0])))
    monkeypatch.setattr(verification, 'contradicted_area',
                        lambda *_: torch.tensor([0.0, 0.5, 0.0, 1.0]))
    monkeypatch.setattr(verification, 'unexplained_share',
                        lambda *_: torch.tensor([0.0, 0.0, 0.2, 0.1]))
    codes = torch.tensor([0.0, 1.0, 3.0, 3.0]).sqrt()[:, None]
    found = log_support(
        Whitened(1), Problem(SphereShape(), None, None, None), None,
        Hypotheses(codes, None, sphere_state(4)),
        VerificationConfig(contradicted=0.5, unexplained=0.1, usual_code=1.0, unusual_code=2.0,
                           seen=0.1, doubtful=0.5, unseen=0.5))
    assert found.tolist() == pytest.approx([0.0, -1.0, -6.0, -10.0])


@pytest.mark.parametrize(('hole', 'needed'), [(0.0, 0.1), (0.2, 0.2), (9.0, 0.4)])
def test_what_is_doubtful_needs_a_side_that_is_seen_better(monkeypatch, hole, needed):
    monkeypatch.setattr(verification, 'part_distances', lambda *_: None)
    monkeypatch.setattr(verification, 'hole_area', lambda _: hole)
    for name in ('contradicted_area', 'unexplained_share'):
        monkeypatch.setattr(verification, name, lambda *_: torch.zeros(1))
    for seen, lost in ((needed, 0.0), (needed / 2, 1.0)):
        found_sides = torch.tensor([seen]), torch.tensor([0.0])
        monkeypatch.setattr(verification, 'seen_side', lambda *_, sides=found_sides: sides)
        found = log_support(
            Whitened(1), Problem(SphereShape(), None, None, None), None,
            Hypotheses(torch.zeros(1, 1), None, sphere_state(1)),
            VerificationConfig(seen=0.1, doubtful=0.5, enough=0.4, unseen=0.5))
        assert found.tolist() == pytest.approx([-lost], abs=1e-6)
