"""A URDF folder, and the training samples of its object."""

import pytest
import torch
from open3d_or_skip import import_open3d
from own_objects import laptop_folder

from kinediff3d_core.data.mesh_objects import load_object
from kinediff3d_core.data.mesh_samples import import_object


@pytest.fixture
def folder(tmp_path):
    return laptop_folder(tmp_path)


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
    """An object and its samples with three views."""
    import_open3d()
    obj = load_object(laptop_folder(tmp_path_factory.mktemp('objects')))
    return obj, import_object(obj, 3, torch.Generator().manual_seed(1))
