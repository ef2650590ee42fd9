"""Depth images of all kinds, and damaged ones."""

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.io.depth import depth_in_metres, read_depth

MM = np.array([[0, 500, 1500], [65535, 1, 999]], dtype=np.uint16)


@pytest.mark.parametrize('name', ['d.png', 'd.tiff', 'd.npy'])
def test_millimetres_become_metres(tmp_path, name):
    path = tmp_path / name
    np.save(path, MM) if name.endswith('npy') else Image.fromarray(MM).save(path)
    np.testing.assert_allclose(read_depth(path), MM / 1000.0, rtol=1e-6)
    assert read_depth(path).dtype == np.float32


@pytest.mark.parametrize('name', ['d.tiff', 'd.npy'])
def test_floating_images_are_metres(tmp_path, name):
    metres = np.array([[0.5, np.nan], [-1.0, np.inf]], dtype=np.float32)
    path = tmp_path / name
    np.save(path, metres) if name.endswith('npy') else Image.fromarray(metres).save(path)
    np.testing.assert_array_equal(read_depth(path), [[0.5, 0], [0, 0]])


def test_depth_that_is_none(tmp_path):
    def fails(name, match, write):
        path = tmp_path / name
        write(path)
        with pytest.raises(ValueError, match=match) as error:
            read_depth(path)
        assert '\n' not in str(error.value) and name in str(error.value)

    fails('a.png', '8-bit.*16-bit PNG', lambda p: Image.fromarray(MM.astype(np.uint8)).save(p))
    fails('rgb.png', 'one channel',
          lambda p: Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(p))
    fails('b.png', 'not readable', lambda p: p.write_bytes(b'no picture'))
    fails('c.png', 'empty', lambda p: p.write_bytes(b''))
    fails('dir', 'not a file', lambda p: p.mkdir())
    fails('e.npy', 'not readable', lambda p: p.write_bytes(b'\x93NUMPY nonsense'))
    fails('f.npy', 'one channel', lambda p: np.save(p, np.zeros((2, 2, 2), np.float32)))
    fails('pickle.npy', 'not readable',
          lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True))

    def cut(path):
        Image.fromarray(np.random.default_rng(0).integers(0, 9999, (50, 50)).astype(np.uint16)
                        ).save(path)
        path.write_bytes(path.read_bytes()[:500])
    fails('cut.png', 'not readable', cut)
    with pytest.raises(ValueError, match='does not exist'):
        read_depth(tmp_path / 'none.png')


@pytest.mark.parametrize('kind', ['<u2', '>u2', '<u4', '<i4', '<i2'])
def test_integers_are_millimetres_to_the_last_bit(kind):
    """Also where the quotient is rounded: to the float32 that is nearest to it."""
    image = np.arange(1, 30001, 7).astype(kind).reshape(2, -1)
    depth = depth_in_metres(image)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, (image.astype(np.float64) / 1000).astype(np.float32))


@pytest.mark.parametrize(('largest', 'head'), [(4000, 'P5'), (4000, 'P2'), (65535, 'P5')])
def test_a_pgm_has_the_values_that_are_written(tmp_path, largest, head):
    """Pillow scales them to 65535."""
    mm = np.linspace(0, 4000, 30 * 40).reshape(30, 40).astype('>u2')
    rows = mm.tobytes() if head == 'P5' else ' '.join(map(str, mm.ravel())).encode()
    (tmp_path / 'd.pgm').write_bytes(f'{head}\n40 30\n{largest}\n'.encode() + rows)
    np.testing.assert_allclose(read_depth(tmp_path / 'd.pgm'), mm / 1000, atol=1e-6)


@pytest.mark.parametrize('kind', ['<f4', '>f4', '<f8'])
def test_floating_numbers_are_metres(kind):
    image = np.array([[0.5, np.nan, -1.0], [np.inf, -np.inf, 2.25]], kind)
    depth = depth_in_metres(image)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, [[0.5, 0, 0], [0, 0, 2.25]])


def test_negative_millimetres_are_no_measurement():
    np.testing.assert_array_equal(depth_in_metres(np.array([[-5, 1500]], np.int16)), [[0, 1.5]])


def test_one_channel_may_be_an_axis_of_its_own():
    for batched in (MM[..., None], MM[None], MM[None, None], MM[None, ..., None]):
        np.testing.assert_array_equal(depth_in_metres(batched), depth_in_metres(MM))
    for shape in ((2, 2, 3), (4,), (2, 2, 2, 1)):
        with pytest.raises(ValueError, match='one channel'):
            depth_in_metres(np.zeros(shape, np.float32))


@pytest.mark.parametrize('kind', [np.uint8, np.int8, bool])
def test_types_that_cannot_hold_depth_are_refused(kind):
    with pytest.raises(ValueError, match='8-bit'):
        depth_in_metres(np.zeros((2, 2), kind))
