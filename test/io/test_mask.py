"""Masks as files and as instance ids."""

import json

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.io.mask import instance_mask, read_mask
from kinediff3d_core.io.mask_choice import MaskChoice
from kinediff3d_core.io.mask_pixels import box_mask
from kinediff3d_core.io.run_lengths import run_length_mask


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


SIZE = (20, 30)


def disc():
    mask = np.zeros(SIZE, bool)
    mask[5:12, 8:20] = True
    return mask


def saved(path, array):
    np.save(path, array) if path.suffix == '.npy' else Image.fromarray(array).save(path)
    return path


def grey(mask):
    return (mask * 255).astype(np.uint8)


def soft_edges():
    soft = grey(disc())
    soft[4, 8:20] = np.arange(10, 130, 10)
    return soft


OPAQUE = np.full(SIZE, 255, np.uint8)
KINDS = {
    'grey_opaque.png': np.dstack([grey(disc()), OPAQUE]),
    'cut_out.png': np.dstack([OPAQUE // 2, OPAQUE // 3, OPAQUE, grey(disc())]),
    'soft.png': soft_edges(),
    'shades.jpg': grey(disc()),
    'colour.jpg': np.dstack([grey(disc())] * 3),
    'bit.png': disc(),
    'one.npy': disc()[None], 'last.npy': disc()[..., None], 'sam.npy': disc()[None, None],
    'probability.npy': np.where(disc(), 0.9, 0.2).astype(np.float32),
    'floats.npy': disc().astype(np.float64), 'halves.npy': disc().astype(np.float16),
    'ids.npy': np.where(disc(), 7, -1),
}


@pytest.mark.parametrize('name', KINDS)
def test_the_background_is_what_the_format_says(tmp_path, name):
    found = read_mask(saved(tmp_path / name, KINDS[name]), size=SIZE)
    if name.endswith('jpg'):
        assert (found != disc()).sum() < 5
    else:
        np.testing.assert_array_equal(found, disc())


@pytest.mark.parametrize('colours', [
    [0, 0, 0, 128, 0, 0], [255, 255, 255, 0, 0, 0], [68, 1, 84, 253, 231, 37]])
def test_palettes(tmp_path, colours):
    """Black is the background, in whichever place; index 0 where nothing is black."""
    index = disc().astype(np.uint8) ^ (colours[:3] == [255, 255, 255])
    image = Image.fromarray(index).convert('P')
    image.putdata(index.ravel().tolist())
    image.putpalette(colours)
    image.save(tmp_path / 'p.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'p.png'), disc())


def test_several_ids_and_masks_are_named(tmp_path):
    ids = disc().astype(np.uint8) * 2
    ids[15:18, 2:5] = 1
    path = saved(tmp_path / 'ids.png', ids)
    with pytest.raises(ValueError, match='ids 1, 2; choose one with --mask-id'):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, MaskChoice(id=2)), disc())
    with pytest.raises(ValueError, match='no pixel has the id 9; there are 1, 2'):
        read_mask(path, MaskChoice(id=9))
    stack = np.stack([ids == 1, ids == 2, ids == 0])
    for array in (stack, np.moveaxis(stack, 0, -1)):
        path = saved(tmp_path / 'stack.npy', array)
        with pytest.raises(ValueError, match=r'3 masks; choose one with --mask-index \(0 to 2\)'):
            read_mask(path, size=SIZE)
        np.testing.assert_array_equal(read_mask(path, MaskChoice(index=1), SIZE), disc())
    with pytest.raises(ValueError, match='save ids as PNG'):
        read_mask(saved(tmp_path / 'a.jpg', grey(disc())), MaskChoice(id=2))


def test_a_pgm_has_the_ids_that_are_written(tmp_path):
    """Pillow scales them to 255."""
    ids = disc().astype(np.uint8) + (np.arange(30) < 3)
    (tmp_path / 'm.pgm').write_bytes(b'P5\n30 20\n3\n' + (2 * ids).astype(np.uint8).tobytes())
    np.testing.assert_array_equal(read_mask(tmp_path / 'm.pgm', MaskChoice(id=2)), ids == 1)


def test_logits_need_a_threshold(tmp_path):
    path = saved(tmp_path / 'logits.npy', np.where(disc(), 8.5, -12.25))
    with pytest.raises(ValueError, match='from -12.2 to 8.5.*--mask-threshold 0'):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, MaskChoice(threshold=0)), disc())


@pytest.mark.parametrize(('mask', 'match'), [
    (np.ones(SIZE, bool), '100 %'), (~disc(), 'four corners.*inverted')])
def test_masks_of_the_whole_image_are_refused(tmp_path, mask, match):
    with pytest.raises(ValueError, match=match):
        read_mask(saved(tmp_path / 'm.png', grey(mask)))


def test_a_photograph_is_no_mask(tmp_path):
    slope = np.linspace(0, 255, 600).reshape(SIZE).astype(np.uint8)
    with pytest.raises(ValueError, match='photo.jpg: .*a photograph, not a mask'):
        read_mask(saved(tmp_path / 'photo.jpg', slope))


def test_coco(tmp_path):
    path = tmp_path / 'm.json'
    columns = disc().T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], columns, [0]])))
    runs = np.diff([0, *edges, len(columns)]).tolist()
    polygon = [[8, 5, 19, 5, 19, 11, 8, 11]]
    images = [{'id': 1, 'file_name': 'x/depth.png', 'height': 20, 'width': 30},
              {'id': 2, 'file_name': 'other.png', 'height': 9, 'width': 9}]
    coco = {'images': images, 'annotations': [
        {'id': 5, 'image_id': 1, 'segmentation': polygon},
        {'id': 6, 'image_id': 1, 'segmentation': [[0, 0, 1, 0, 1, 1]]},
        {'id': 7, 'image_id': 2, 'bbox': [1, 2, 3, 4]}]}
    labelme = {'shapes': [{'label': 'laptop', 'points': np.reshape(polygon, (-1, 2)).tolist()}]}
    rectangle = {'shapes': [{'points': [[19, 11], [8, 5]], 'shape_type': 'rectangle'}]}
    ultralytics = [{'name': 'laptop', 'segments': {'x': polygon[0][::2], 'y': polygon[0][1::2]}}]
    for value, choice in (({'size': [20, 30], 'counts': runs}, MaskChoice()),
                          ([{'segmentation': {'size': [20, 30], 'counts': runs}}], MaskChoice()),
                          (coco, MaskChoice(id=5)), (coco, MaskChoice(index=0)),
                          (labelme, MaskChoice()), (rectangle, MaskChoice()),
                          (ultralytics, MaskChoice()),
                          ({'segmentation': disc().astype(int).tolist()}, MaskChoice())):
        path.write_text(json.dumps(value))
        found = read_mask(path, choice, SIZE, 'depth.png')
        np.testing.assert_array_equal(found, disc())
    path.write_text(json.dumps({'shapes': [{'points': [[8, 5], [9, 5]], 'shape_type': 'circle'}]}))
    with pytest.raises(ValueError, match="m.json: a shape of the type 'circle'; draw a polygon"):
        read_mask(path, size=SIZE)
    path.write_text(json.dumps(coco))
    with pytest.raises(ValueError, match='2 annotations .ids 5, 6: --mask-id'):
        read_mask(path, size=SIZE, frame='depth.png')
    with pytest.raises(ValueError, match='--box 1 2 3 4'):
        read_mask(path, size=SIZE, frame='other.png')


@pytest.mark.parametrize('rows', [[0, 1, 1], [0, 0, 0, 1], [[[0]], [[1]], [[1]]], []])
@pytest.mark.parametrize('size', [SIZE, None])
def test_rows_that_are_no_mask_are_refused(tmp_path, rows, size):
    path = tmp_path / 'm.json'
    path.write_text(json.dumps({'segmentation': rows}))
    with pytest.raises(ValueError, match='m.json: '):
        read_mask(path, size=size)


def test_compressed_run_lengths():
    """Numbers of one and two groups of bits, and negative differences."""
    def text(runs):
        out = ''
        for i, run in enumerate(runs):
            x = run - runs[i - 2] if i > 2 else run
            while True:
                group, x = x & 31, x >> 5
                more = x != (-1 if group & 16 else 0)
                out += chr(48 + group + 32 * more)
                if not more:
                    break
        return out

    runs = [40, 3, 17, 3, 17, 2, 18, 500]
    np.testing.assert_array_equal(run_length_mask([20, 30], text(runs)),
                                  run_length_mask([20, 30], runs))
    # The example in the documentation of COCO's format.
    assert text([6, 1, 40, 4, 5, 4, 5, 4, 21]) == '61X13mN000`0'


def test_a_box_is_cut_at_the_image():
    mask = box_mask((-5, 10, 4, 90), (30, 40))
    assert mask[10:, :4].all() and mask.sum() == 20 * 4
    assert not box_mask((-9, -8, -4, -3), (30, 40)).any(), 'a box outside has no pixel'
