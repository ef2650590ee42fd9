"""Noise of the states with which training clouds are canonicalised."""

import torch

from kinediff3d_core.networks.score import State
from kinediff3d_core.training.state_noise import StateNoise, add_noise


def test_a_third_of_the_states_is_exact_and_the_rest_has_noise():
    n = 3000
    state = State(torch.eye(4).repeat(n, 1, 1), torch.zeros(n, 1), torch.zeros(n, 1, 3),
                  torch.tensor([0.0, -1, 0]).expand(n, 1, 3))
    c = StateNoise()
    noisy = add_noise(state, c, torch.Generator().manual_seed(0))
    exact = (noisy.q == 0).flatten()
    assert abs(float(exact.float().mean()) - 1 / 3) < 0.03
    assert torch.equal(noisy.T_camera_base[exact], state.T_camera_base[exact])
    # A level uniform on 0 to 2 has the mean square 4 / 3.
    for values, std in ((noisy.q, c.position), (noisy.origin, c.pivot),
                        (noisy.T_camera_base[:, :3, 3], c.translation)):
        measured = values[~exact].square().mean().sqrt()
        torch.testing.assert_close(measured, torch.tensor(std * (4 / 3) ** 0.5), rtol=0.08,
                                   atol=0)
    assert torch.equal(noisy.axis, state.axis)
