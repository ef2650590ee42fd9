"""Masks as files and as instance ids."""

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.io.mask import instance_mask, read_mask


def test_masks(tmp_path):
    m = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    Image.fromarray(m).save(tmp_path / 'm.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'm.png'), m > 0)
    Image.fromarray(m.astype(np.uint16) * 7).save(tmp_path / 'ids.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'ids.png'), m > 0)
    Image.fromarray(m * 0).save(tmp_path / 'zero.png')
    with pytest.raises(ValueError, match='zero everywhere'):
        read_mask(tmp_path / 'zero.png')


def test_colour_masks_count_every_channel_but_the_last_of_four(tmp_path):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[0, 1, 2] = rgba[1, 0, 2] = 9
    Image.fromarray(rgba).save(tmp_path / 'rgba.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'rgba.png'), [[0, 1], [1, 0]])
    np.save(tmp_path / 'flat.npy', np.ones(4))
    with pytest.raises(ValueError, match=r'a mask is \(H, W\)'):
        read_mask(tmp_path / 'flat.npy')


def test_one_instance_or_all():
    ids = np.array([[0, 1], [2, 2]], np.uint16)
    np.testing.assert_array_equal(instance_mask(ids), ids > 0)
    np.testing.assert_array_equal(instance_mask(ids, 2), ids == 2)
    assert instance_mask(ids, 1).dtype == bool and not instance_mask(ids, 3).any()
