"""Estimates that are written and read again."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import laptop_estimate

from kinediff3d_core.io.estimate import read_estimate, write_estimate


def test_estimates_come_back(tmp_path):
    e = replace(laptop_estimate(), categories={'laptop': 0.9, 'box': 0.1}, support=0.8)
    path = write_estimate(e, tmp_path / 'out')
    for source in (path, path.parent):
        got = read_estimate(source)
        assert got.to_dict() == e.to_dict()
        for a, b in zip(got.parts, e.parts, strict=True):
            np.testing.assert_allclose(a.mesh.vertices, b.mesh.vertices, atol=1e-6)
            np.testing.assert_array_equal(a.mesh.faces, b.mesh.faces)


@pytest.mark.parametrize(('old', 'new', 'match'), [
    ('"latent"', '"later"', 'latent'), ('meshes/lid.obj', '../../x.obj', 'outside'),
    ('meshes/lid.obj', 'meshes/none.obj', 'does not exist'), ('"child": "lid"', '"child": "x"',
                                                             'not an estimate'),
    ('{', '[', 'not an estimate'), ('{', 100_000 * '[', 'not an estimate'),
    ('"residual": 0.001', '"residual": 1' + 400 * '0', 'not an estimate'),
    ('"revolute"', '"floating"', 'joint_type'), ('"child": "lid"', '"child": "base"', 'lid'),
])
def test_estimates_that_are_none(tmp_path, old, new, match):
    path = write_estimate(laptop_estimate(), tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=match) as error:
        read_estimate(path)
    assert '\n' not in str(error.value) and len(str(error.value)) <= 300
