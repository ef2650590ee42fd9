"""Observed free space of small scenes whose answer is known."""

import pytest
import torch

from kinediff3d_core.observation.free_space import free_distance, observe


def test_free_space_gradient_agrees_with_finite_differences():
    g = torch.Generator().manual_seed(0)
    cloud = torch.rand(4000, 3, generator=g) * torch.tensor([0.5, 0.3, 0.1]) + torch.tensor(
        [0.0, 0.0, 2.0])
    seen = observe(cloud.numpy(), 100, g)
    inside, _ = free_distance(seen, cloud[:500])
    assert inside.max() < 0.02
    p = torch.rand(400, 3, generator=g) * 0.6 + torch.tensor([-0.1, -0.1, 1.8])
    value, gradient = free_distance(seen, p)
    assert (value > 0.05).any()
    for axis in range(3):
        step = torch.zeros(3)
        step[axis] = 1e-3
        numeric = (free_distance(seen, p + step)[0]
                   - free_distance(seen, p - step)[0]) / 2e-3
        error = (numeric - gradient[:, axis]).abs()
        assert error.median() < 2e-3  # cells' borders have kinks


def test_occluded_space_is_not_free():
    """An occluder hides the space at the right of a plate.

    The plate may extend behind the occluder, but not in front of it, and not where nothing was
    measured.
    """
    g = torch.Generator().manual_seed(0)
    x = torch.rand(9000, 3, generator=g) * torch.tensor([0.4, 0.4, 0.0])
    plate, screen = x + torch.tensor([-0.4, -0.2, 2.0]), x + torch.tensor([0.01, -0.2, 1.9])
    seen = observe(plate.numpy(), 100, g, screen.numpy())
    alone = observe(plate.numpy(), 100, g)

    def outside(seen, *at):
        distance, gradient = free_distance(seen, torch.tensor([at]))
        assert (distance > 0) == (gradient.abs().amax() > 0)
        return float(distance)

    behind, before, aside = (0.15, 0.0, 2.0), (0.14, 0.0, 1.85), (-0.2, 0.3, 2.0)
    assert outside(seen, *behind) == 0 and outside(alone, *behind) > 0.1
    assert outside(seen, *before) == outside(alone, *before) > 0.1
    assert outside(seen, *aside) == outside(alone, *aside) > 0.05
    # What the mask has missed is not in front of itself.
    missed = observe(plate.numpy(), 100, g, (plate + torch.tensor([0.4, 0.0, 0.0])).numpy())
    assert outside(missed, *behind) == 0


def test_surface_in_front_of_the_measured_depth_is_in_free_space():
    """A step: a near plate on the left, a far one on the right.

    Space in front of the far one is free. Its depth is the way back to it, or aside to the near
    one.
    """
    g = torch.Generator().manual_seed(0)
    x = torch.rand(9000, 3, generator=g) * torch.tensor([0.4, 0.4, 0.0])
    near, far = x + torch.tensor([-0.4, -0.2, 1.6]), x + torch.tensor([0.0, -0.2, 2.0])
    seen = observe(torch.cat([near, far]).numpy(), 100, g)

    def free(*at):
        distance, gradient = free_distance(seen, torch.tensor([at]))
        return float(distance), gradient[0].tolist()

    for hidden in ((-0.2, 0.0, 1.61), (-0.2, 0.0, 1.9), (0.2, 0.0, 2.1), (0.2, 0.0, 1.985)):
        assert free(*hidden) == (0.0, [0.0, 0.0, 0.0])
    distance, gradient = free(0.25, 0.0, 1.9)  # a tenth before the far one
    assert distance == pytest.approx(0.08, abs=1e-3) and gradient == [0.0, 0.0, -1.0]
    distance, gradient = free(0.05, 0.0, 1.75)  # a step to the right of the near one
    assert distance == pytest.approx(0.05, abs=0.03) and gradient[0] > 0.8
    assert abs(gradient[1]) < 0.1
