"""Random rigid motions in float64, for tests of laws."""

import torch

from kinediff3d_core.geometry.rigid import make_transform, rotation_from_6d


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed),
                       dtype=torch.float64)


def random_transforms(*batch, seed=0):
    return make_transform(rotation_from_6d(normal(*batch, 6, seed=seed)),
                          normal(*batch, 3, seed=seed + 100))
