"""Objects that several tests of the simulation share."""

import pytest
import torch

from kinediff3d_core.simulation.families import sample_instances


@pytest.fixture(scope='module')
def laptops():
    return sample_instances('laptop', 16, torch.Generator().manual_seed(3))
