"""Hand-made poses and joints of laptops, for tests of functions of hypotheses."""

import roma
import torch

from kinediff3d_core.geometry.rigid import make_transform
from kinediff3d_core.networks.score import State


def states_about(degrees, positions):
    """Laptops turned about the camera's axis by ``degrees``, at joint ``positions``."""
    turn = torch.zeros(len(degrees), 3)
    turn[:, 2] = torch.deg2rad(torch.tensor(degrees))
    return State(make_transform(roma.rotvec_to_rotmat(turn), torch.zeros(len(degrees), 3)),
                 torch.tensor(positions)[:, None], torch.zeros(len(degrees), 1, 3),
                 torch.tensor([0.0, -1.0, 0.0]).expand(len(degrees), 1, 3))


def some_state(net, h=2):
    T = torch.eye(4).repeat(h, 1, 1)
    T[:, 2, 3] = 3.0
    origin = net.decode(torch.zeros(h, net.config.latent), torch.ones(h, 1)).origin
    return State(T, torch.full((h, 1), 1.2), origin, net.axis.expand(h, -1, 3))
