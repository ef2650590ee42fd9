"""Compressed depth images: what the transport of ROS sends, and what is refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from compressed_depth import MAX_DEPTH, QUANTIZATION, compress, png

from kinediff3d_core.io.compressed_depth import decode_compressed_depth

A = QUANTIZATION * (QUANTIZATION + 1)


def test_millimetres_are_exact() -> None:
    pixels = np.random.default_rng(0).integers(0, 9999, (48, 64)).astype(np.uint16)
    image_format, data = compress(pixels)
    for text in (image_format, '16UC1; compressedDepth', '16UC1', '16UC1;compressedDepth png',
                 'mono16; compressedDepth png'):
        depth = decode_compressed_depth(text, data)
        np.testing.assert_array_equal(depth, pixels.astype(np.float32) / np.float32(1000))
        assert depth.dtype == np.float32


def test_metres_come_back_within_a_step_of_the_inverse_depth() -> None:
    metres = np.random.default_rng(0).uniform(0.4, 9.9, (48, 64)).astype(np.float32)
    metres[0] = np.nan
    metres[1] = 12.0
    depth = decode_compressed_depth(*compress(metres))
    assert not depth[:2].any()
    # One step of q = A / z is z^2 / A.
    assert (np.abs(depth - metres)[2:] <= metres[2:] ** 2 / A * 1.01 + 1e-6).all()


def test_one_value_by_hand() -> None:
    """q = 3, A = 8 and B = 1: 8 / (3 - 1) = 4 m. At q = 1 the depth is infinite, at 0 unknown."""
    data = struct.pack('<iff', 0, 8.0, 1.0) + png(np.array([[3, 1, 0]], np.uint16))
    np.testing.assert_array_equal(
        decode_compressed_depth('32FC1; compressedDepth png', data), [[4, 0, 0]])
    negative = struct.pack('<iff', 0, 8.0, 5.0) + png(np.array([[3, 6]], np.uint16))
    np.testing.assert_array_equal(
        decode_compressed_depth('32FC1; compressedDepth', negative), [[0, 8]])


@pytest.mark.parametrize('image_format', [
    '16UC1; compressedDepth rvl', '32FC1; compressedDepth rvl', 'rgb8; jpeg compressed bgr8',
    '8UC1; compressedDepth png', 'jpeg', ''])
def test_other_formats_are_refused_by_name(image_format: str) -> None:
    _, data = compress(np.ones((4, 4), np.uint16))
    with pytest.raises(ValueError, match='has format') as refusal:
        decode_compressed_depth(image_format, data)
    assert repr(image_format) in str(refusal.value) and 'png' in str(refusal.value)


GOOD = compress(np.arange(3000, dtype=np.uint16).reshape(50, 60))[1]


def huge(side: int) -> bytes:
    """A PNG of a few bytes whose header says that it has many pixels."""
    header = struct.pack('>IIBBBBB', side, side, 16, 0, 0, 0, 0)
    chunks = ((b'IHDR', header), (b'IDAT', zlib.compress(bytes(100))))
    return bytes(12) + b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks)


@pytest.mark.parametrize(('data', 'text'), [
    (b'', 'holds 0 bytes'), (bytes(12), 'holds 12 bytes'), (bytes(500), 'not readable'),
    (GOOD[:len(GOOD) // 2], 'not readable'), (huge(30_000), 'DecompressionBomb'),
    (huge(9000), '9000 x 9000 pixels are more'),
    (bytes(12) + png(np.ones((4, 4), np.uint8)), 'one channel of 16 bits'),
    (bytes(12) + png(np.ones((4, 4, 3), np.uint8)), 'one channel of 16 bits')],
    ids=['nothing', 'header', 'zeros', 'cut', 'huge', 'large', '8 bit', 'colour'])
def test_damaged_data_are_refused_in_one_line(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text) as refusal:
        decode_compressed_depth('16UC1; compressedDepth png', data)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize('parameters', [(0.0, 1.0), (-5.0, 1.0), (np.nan, 0.0), (1.0, np.inf)])
def test_a_quantization_that_is_none_is_refused(parameters: tuple[float, float]) -> None:
    data = struct.pack('<iff', 0, *parameters) + png(np.ones((4, 4), np.uint16))
    with pytest.raises(ValueError, match='quantization'):
        decode_compressed_depth('32FC1; compressedDepth png', data)
    assert decode_compressed_depth('16UC1; compressedDepth png', data).all()


def test_random_damage_never_raises_anything_else() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(GOOD)
        for at in rng.integers(12, len(data), 4):
            data[at] = rng.integers(256)
        try:
            depth = decode_compressed_depth('16UC1; compressedDepth png', bytes(data))
        except ValueError:
            continue
        assert depth.ndim == 2 and np.isfinite(depth).all() and depth.max() <= 65.536


def test_far_values_are_left_out_by_the_publisher() -> None:
    far = np.full((2, 2), int(MAX_DEPTH * 1000) + 1, np.uint16)
    assert not decode_compressed_depth(*compress(far)).any()
