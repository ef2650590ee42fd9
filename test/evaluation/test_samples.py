"""Test views of procedural objects."""

import math

import numpy as np
from open3d_or_skip import import_open3d
from true_objects import coarse_object

from kinediff3d_core.evaluation.samples import object_samples, procedural_samples
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.simulation.families import held_out_generator, sample_instances


def test_samples_depend_on_seed_and_number_only():
    a = procedural_samples('laptop', seed=1, shapes=False)
    b = procedural_samples('laptop', seed=1, shapes=False)
    first, again = a(2), (b(5), b(2))[1]
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_array_equal(first.generate_at, again.generate_at)
    np.testing.assert_array_equal(first.truth.T_camera_part, again.truth.T_camera_part)
    other = procedural_samples('laptop', seed=2, shapes=False)(2)
    assert not np.array_equal(first.truth.origin, other.truth.origin)
    assert first.truth.surfaces is None
    low, high = math.radians(10), math.radians(130)
    assert low <= first.truth.positions[0] <= high and low <= first.generate_at[0] <= high


def test_objects_of_a_folder_may_lack_the_first_moving_part(tmp_path):
    """Also then each part and joint has its own name, pose and axis."""
    import_open3d()
    row = next(i for i in range(8) if not sample_instances(
        'cabinet', i + 1, held_out_generator(0)).exists[i, 1])
    estimate = coarse_object('cabinet', row)
    write_urdf(estimate, tmp_path / 'cabinet_right')
    sample = object_samples(tmp_path, 'cabinet', shapes=False)(0)
    truth = sample.truth
    assert truth.part_names == ('base', 'door_right')
    assert truth.joint_names == ('door_right_joint',) and truth.children == (1,)
    assert len(sample.generate_at) == len(truth.positions) == 1
    np.testing.assert_allclose(truth.axis, [[0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(truth.origin, [estimate.joints[0].origin], atol=2e-2)
