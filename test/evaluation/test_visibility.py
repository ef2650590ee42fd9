"""How much of an object a view shows."""

import numpy as np
import pytest

from kinediff3d_core.evaluation.records import Record, summary_of, table
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.evaluation.visibility import thirds, visible_share
from kinediff3d_core.simulation.views import TEST_CAMERA as CAMERA


def sphere(n=4000, radius=0.2, distance=1.0):
    """Points (n, 3) on a sphere ahead of the camera, and its exact depth image (H, W)."""
    rng = np.random.default_rng(0)
    p = rng.normal(size=(n, 3))
    p *= radius / np.linalg.norm(p, axis=-1, keepdims=True)
    v, u = np.mgrid[:CAMERA.height, :CAMERA.width]
    x, y = (u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy
    a, half = x * x + y * y + 1, distance
    root = half * half - a * (distance ** 2 - radius ** 2)
    depth = np.where(root > 0, (half - np.sqrt(np.maximum(root, 0))) / a, 0.0)
    return p + (0, 0, distance), depth


def test_a_sphere_shows_its_cap():
    points, depth = sphere()
    everything = np.ones(depth.shape, dtype=bool)
    share = visible_share(points, depth, everything, CAMERA)
    # The cap within the tangent cone is (1 - r / d) / 2 of a sphere; half a pixel of rim is lost.
    assert 0.35 < share <= 0.4
    left = everything.copy()
    left[:, :320] = False
    assert visible_share(points, depth, left, CAMERA) == pytest.approx(share / 2, abs=0.02)
    assert visible_share(points + (5.0, 0, 0), depth, everything, CAMERA) == 0
    assert visible_share(points - (0, 0, 3.0), depth, everything, CAMERA) == 0


def test_a_laptop_shows_about_half():
    sample = procedural_samples('laptop', seed=5, shapes=False)(0)
    assert 0.2 < sample.visibility < 0.7
    with_mesh = procedural_samples('laptop', seed=5)(0)
    assert with_mesh.visibility == pytest.approx(sample.visibility, abs=0.08)


def test_summaries_have_thirds_by_visibility():
    records = [Record(i, str(i), {'rot_err_deg': float(i)}, '', 0.1 * (i + 1))
               for i in range(6)]
    records.append(Record(6, 'silent', None, 'why', 0.05))
    summary = summary_of(records)
    assert summary['visibility']['n'] == 7
    assert summary['visibility_worst_third']['mean'] == pytest.approx((0.05 + 0.1 + 0.2) / 3)
    assert summary['rot_err_deg_worst_third'] == {'mean': 0.5, 'median': 0.5, 'std': 0.5, 'n': 2}
    assert summary['failure_rate_worst_third']['mean'] == pytest.approx(1 / 3)
    assert summary['rot_err_deg_best_third']['mean'] == 4.5
    assert all(set(s) == {'mean', 'median', 'std', 'n'} for s in summary.values())
    text = table('laptop', summary)
    assert 'means by visibility' in text and '_third' not in text
    assert thirds(np.array([0.5, np.nan, 0.2])) == {}
    # A third without any estimate has its failures only.
    records = [*records[:4], *(Record(i, 'silent', None, 'why', 0.9) for i in (7, 8))]
    assert 'nan' in table('laptop', summary_of(records))
