"""Verification: area that the image contradicts, and how unusual a shape code is."""

from dataclasses import replace
from types import SimpleNamespace

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
    part_distances,
    seen_side,
    unexplained_share,
)
from kinediff3d_core.networks.whitening import Whitened


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


def test_points_are_on_the_nearest_part_and_the_side_with_fewer_is_the_seen_one():
    base, lid, leg = torch.tensor([[1.0, 2, 3], [2, 1, 3], [2, 3, 1]])
    of_base_and_one = torch.stack([base, base, base, lid], dim=-1)
    of_base_and_two = torch.stack([base, lid, leg, leg], dim=-1)
    of_one_moving = torch.stack([lid, lid, lid, lid], dim=-1)
    distance = torch.stack([of_base_and_one, of_base_and_two, of_one_moving])
    assert seen_side(distance).tolist() == [0.25, 0.25, 0.0]


def test_distance_of_codes_is_in_standard_deviations_of_the_training_objects():
    latent = Whitened(3)
    latent.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    latent.std.copy_(torch.tensor([1.0, 0.5, 2.0]))
    codes = torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.5, 5.0], [1.0, 2.0, 9.0]])
    assert code_distance(latent, codes).tolist() == pytest.approx([0.0, 1.0, 3.0])


def test_support_falls_with_all_four(monkeypatch):
    monkeypatch.setattr(verification, 'part_distances', lambda *_: None)
    monkeypatch.setattr(verification, 'seen_side', lambda _: torch.tensor([0.1, 0.3, 0.05, 0.0]))
    monkeypatch.setattr(verification, 'contradicted_area',
                        lambda *_: torch.tensor([0.0, 0.5, 0.0, 1.0]))
    monkeypatch.setattr(verification, 'unexplained_share',
                        lambda *_: torch.tensor([0.0, 0.0, 0.2, 0.1]))
    codes = torch.tensor([0.0, 1.0, 3.0, 3.0]).sqrt()[:, None]
    found = log_support(Whitened(1), None, None, Hypotheses(codes, None, sphere_state(4)),
                        VerificationConfig(contradicted=0.5, unexplained=0.1, usual_code=1.0,
                                           unusual_code=2.0, seen=0.1, unseen=0.5))
    assert found.tolist() == pytest.approx([0.0, -1.0, -6.0, -10.0])
