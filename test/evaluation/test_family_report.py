"""Distances between families and objects, and the page; without third-party objects."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from estimates import laptop_estimate
from open3d_or_skip import import_open3d
from PIL import Image

from kinediff3d_core.evaluation import family_report as F
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families import sample_instances
from kinediff3d_core.simulation.families.builder import Builder, Slab


def trays(n, seed=0):
    """Open trays, 0.2 x 0.1 x 0.06 m with walls and floor of 5 mm, and a plate as lid."""
    b = Builder(get_category('box'), n, torch.Generator().manual_seed(seed), 'cpu')
    b.add(0, Slab((-0.1, -0.05, 0.0), (0.1, 0.05, 0.06)))
    b.cut(0, Slab((-0.095, -0.045, 0.005), (0.095, 0.045, 3.0)))
    b.add(1, Slab((0.0, -0.05, 0.0), (0.2, 0.05, 0.01)))
    x, z = torch.full((n,), -0.1), torch.full((n,), 0.06)
    return b.build(torch.full((n, 1), 2.0), b.pivot(x, z))


def test_points_are_uniform_by_area_in_cavities_too():
    p = F.surface_clouds(trays(3), 20_000, torch.Generator().manual_seed(0))[1]
    x, y, z = p.unbind(-1)
    # The base's frame is in the middle of its box: z from -0.03 to 0.03, rim and lid above.
    above = z > 0.03 - 1e-5
    floor = ((z + 0.025).abs() < 1e-5) & (x.abs() < 0.0949) & (y.abs() < 0.0449)
    rim = 0.2 * 0.1 - 0.19 * 0.09
    plate = 2 * (0.2 * 0.1 + 0.2 * 0.01 + 0.1 * 0.01)
    outside = 0.2 * 0.1 + 2 * (0.2 + 0.1) * 0.06
    inside = 0.19 * 0.09 + 2 * (0.19 + 0.09) * 0.055
    total = rim + plate + outside + inside
    assert above.float().mean() == pytest.approx((plate + rim) / total, abs=0.015)
    assert floor.float().mean() == pytest.approx(0.19 * 0.09 / total, abs=0.01)


def test_points_are_uniform_on_round_edges():
    """A disc of radius 0.05 and height 0.02: its wall against its two faces."""
    b = Builder(get_category('box'), 1, torch.Generator().manual_seed(0), 'cpu')
    b.add(0, Slab((-0.05, -0.05, 0.0), (0.05, 0.05, 0.02), corner=0.05))
    b.add(1, Slab((-1e-3, -1e-3, 0.5), (1e-3, 1e-3, 0.502)))
    disc = b.build(torch.full((1, 1), 2.0))
    p = F.surface_clouds(disc, 20_000, torch.Generator().manual_seed(0))[0]
    p = p[p[:, 2] < 0.1]
    wall = p[:, 2].abs() < 0.01 - 1e-5
    assert wall.float().mean() == pytest.approx(0.02 / (0.02 + 0.05), abs=0.01)
    angle = torch.atan2(p[wall, 1], p[wall, 0])
    counts = torch.histc(angle, 16, -torch.pi, torch.pi)
    assert float(counts.std() / counts.mean()) < 0.08


def test_an_instance_is_near_itself_and_a_larger_one_is_not():
    near = F.Neighbours('laptop', 12, seed=0)
    same = F.search(near.clouds[5], near.clouds)
    assert same[5] < 1e-6 and same.argmin() == 5
    assert same[same > 1e-6].min() > 2e-3
    again = F.surface_clouds(near.instances[5:6], 30_000, torch.Generator().manual_seed(9))[0]
    cloud = again.double().numpy()
    cd, which = near.nearest(cloud)
    assert which == 5 and cd < 9  # two draws of 30,000 points on one laptop are about 7 apart
    assert near.nearest(1.3 * cloud)[0] > 2 * cd


def test_missing_parts_are_neither_measured_nor_drawn():
    one = sample_instances('laptop', 1, torch.Generator().manual_seed(0))
    exists = one.exists.clone()
    exists[:, 1] = False
    present = one.present & torch.tensor([s.part == 0 for s in one.slots])
    alone = replace(one, exists=exists, present=present)
    assert list(F.instance_meshes(alone, 0, 0.5)) == [0]
    p = F.surface_clouds(alone, 500, torch.Generator().manual_seed(0))[0]
    low, high = one.bounds[0, 0]
    assert (p > low - 1e-4).all() and (p < high + 1e-4).all()


def test_the_page_and_its_sheet(tmp_path, monkeypatch, capsys):
    import_open3d()
    for name, small in (('SAMPLES', 2000), ('HELD_OUT', 2), ('CELL', (98, 73))):
        monkeypatch.setattr(F, name, small)
    objects = tmp_path / 'objects'
    write_urdf(laptop_estimate(), objects / 'laptop_mine')
    (objects / 'laptop_broken').mkdir()
    (objects / 'laptop_broken' / 'object.urdf').write_text('<robot')
    (objects / 'teapot_1').mkdir()
    (objects / 'teapot_1' / 'object.urdf').write_text('<robot')
    out = tmp_path / 'docs'
    given = ['--objects', str(objects), '--out', str(out), '--category', 'laptop',
             '--samples', '8']
    assert F.main(given) == 0
    text = (out / 'families.md').read_text()
    assert '| laptop | 1 |' in text and 'broken (laptop): object.urdf is not' in text
    assert '(images/families_laptop.png)' in text and '--samples 8' in text
    assert 'laptop_mine: ' in capsys.readouterr().out
    sheet = np.asarray(Image.open(out / 'images' / 'families_laptop.png').convert('RGB'))
    assert sheet.shape[1] == 6 * 102 + 4
    height = sheet.shape[0] // 2
    for half in (sheet[:height], sheet[height:]):
        assert (half < 250).any(-1).mean() > 0.02


@pytest.mark.parametrize(('extra', 'match'), [
    (['--samples', '0'], 'samples'), (['--seed', '-1'], 'seed'), (['--category', 'teapot'],
                                                                  'teapot'),
    (['--objects', 'nowhere'], 'nowhere'), (['--samples', 'many'], 'invalid int'),
])
def test_bad_input_is_one_line(tmp_path, capsys, extra, match):
    given = ['--objects', str(tmp_path), '--out', str(tmp_path / 'docs'), *extra]
    try:
        status = F.main(given)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert match in error and error.count('\n') == 1
