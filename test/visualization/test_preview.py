"""Pictures of an estimate."""

from dataclasses import replace

import numpy as np
from estimates import laptop_estimate
from PIL import Image

from kinediff3d_core.visualization import preview


def test_preview_is_written_and_shows_all_parts(tmp_path):
    e = laptop_estimate()
    path = preview.draw_preview(e, tmp_path / 'new' / 'preview.png', preview.posed_meshes(e))
    picture = np.asarray(Image.open(path).convert('RGB')).astype(int)
    assert picture.shape[1] > 3 * picture.shape[0]
    assert picture.std() > 20
    r, g, b = picture[..., 0], picture[..., 1], picture[..., 2]
    assert ((r > g + 40) & (g > b + 40)).sum() > 5000, 'no lid'
    assert ((b > r + 30) & (r > 50)).sum() > 5000, 'no base'
    assert ((r > 2.5 * g) & (r > 2.5 * b)).sum() > 100, 'no axis'


def test_preview_without_meshes(tmp_path):
    e = laptop_estimate()
    bare = replace(e, parts=tuple(replace(p, mesh=None) for p in e.parts))
    assert preview.draw_preview(bare, tmp_path / 'p.png').stat().st_size > 1000
