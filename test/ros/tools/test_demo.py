"""A short run of ``kinediff3d demo``: it writes the files that docs/ros.md lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yourdfpy
from PIL import Image

pytest.importorskip('rclpy', reason='needs ROS 2')

pytestmark = [pytest.mark.ros, pytest.mark.timeout(600)]

LIMIT = 480
"""Seconds on a machine with other work; a tenth of that on a quiet one."""

SECONDS = 5
ROOT = Path(__file__).parents[3]


@dataclass
class Run:
    status: int
    out: Path
    printed: str
    errors: str

    @property
    def summary(self) -> dict:
        return json.loads((self.out / 'summary.json').read_text())


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp('demo') / 'out'
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get('PYTHONPATH', '')) if p)
    demo = subprocess.Popen(
        [sys.executable, '-m', 'kinediff3d_core.cli', 'demo', '--headless', '--seconds',
         str(SECONDS), '--out', str(out)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONPATH': path})
    try:
        printed, errors = demo.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        # SIGTERM, so that it ends its nodes.
        demo.terminate()
        raise
    return Run(demo.returncode, out, printed, errors)


def test_it_succeeds_and_prints_a_few_lines(run: Run) -> None:
    assert run.status == 0, run.errors
    lines = run.printed.strip().splitlines()
    assert len(lines) < 10 and lines[0].startswith(f'{run.summary["estimates"]} estimates of ')
    assert lines[-1] == f'summary.json, pictures, meshes and URDF are in {run.out}'
    # Without a terminal there are no bars: each update would be a line of its own.
    assert '\r' not in run.errors
    # A slow start is reported every ten seconds.
    assert [line for line in run.errors.splitlines() if ' s, ' not in line] == [
        'starting the nodes …', 'rendering the joint states …', 'recording …']


def test_summary(run: Run) -> None:
    s = run.summary
    assert (s['category'], s['seconds']) == ('laptop', SECONDS)
    assert s['command'] == f'kinediff3d demo --category laptop --seconds {SECONDS}'
    assert 1 <= s['compared'] <= s['estimates'] <= s['frames']
    known = sum(s[key] for key in ('estimates', 'no_estimates', 'dropped', 'unpaired',
                                   'uncalibrated'))
    # The node may be at work on the last ones when it is stopped.
    assert s['frames'] - 3 <= known <= s['frames']
    assert 1 <= s['full_estimates'] and 0 < s['first_image_s'] <= s['first_answer_s'] < LIMIT
    memory = s['resident_mib']
    assert 100 < memory['early'] < 2048 and 100 < memory['late'] < 2048
    assert 0 <= s['rate_hz'] <= 6  # five a second are sent; some are early or late
    for name, limit in (('latency_ms', 1e3 * LIMIT), ('joint_error_deg', 12),
                        ('rotation_error_deg', 20), ('translation_error_m', 0.05)):
        assert 0 < s[name]['median'] <= s[name]['p95'], name
        assert s[name]['median'] < limit, name


def test_pictures_show_something(run: Run) -> None:
    names = [p.name for p in sorted(run.out.glob('*.png'))]
    assert names == ['1_depth.png', '2_cloud.png', '3_estimate.png', '4_joint.png']
    for name in names:
        grey = np.asarray(Image.open(run.out / name).convert('L'))
        assert grey.shape[0] > 300 and grey.shape[1] > 600, name
        assert len(np.unique(grey)) > 50 and grey.std() > 5, name
        # Something is drawn on an empty background.
        assert 0.05 < (grey == grey[0, 0]).mean() < 0.99, name


def test_input_is_a_frame_for_infer(run: Run) -> None:
    from kinediff3d_core.io.camera_info import read_camera_info
    from kinediff3d_core.io.depth import read_depth
    from kinediff3d_core.io.mask import read_mask

    depth, mask = read_depth(run.out / 'input/depth.png'), read_mask(run.out / 'input/mask.png')
    intrinsics = read_camera_info(run.out / 'input/camera_info.yaml')
    assert depth.shape == mask.shape == (intrinsics.height, intrinsics.width) == (480, 640)
    assert 0.02 < mask.mean() < 0.5 and (depth[mask] > 0).mean() > 0.8
    # The table is visible around the object.
    assert (depth > 0).mean() > 2 * mask.mean()


def test_description_loads_and_moves(run: Run) -> None:
    robot = yourdfpy.URDF.load(str(run.out / 'object.urdf'), load_meshes=True,
                               build_collision_scene_graph=True, load_collision_meshes=True)
    assert robot.validate() and robot.actuated_joint_names == ['laptop_lid_joint']
    files = {p.name for p in (run.out / 'meshes').iterdir() if '_collision_' not in p.name}
    assert files == set(robot.scene.geometry) == {'base.obj', 'lid.obj'}
    for mesh in robot.scene.geometry.values():
        assert mesh.is_watertight and len(mesh.faces) > 100
        assert 0.1 < np.ptp(mesh.bounds, axis=0).max() < 0.8
    before = robot.get_transform('laptop_lid', 'laptop_base')
    robot.update_cfg({'laptop_lid_joint': 1.0})
    assert not np.allclose(before, robot.get_transform('laptop_lid', 'laptop_base'))


def test_logs_have_the_output_of_both_nodes(run: Run) -> None:
    logs = {p.name: p.read_text() for p in (run.out / 'logs').iterdir()}
    assert set(logs) == {'camera_sim.log', 'perception.log'}
    assert 'publishing a laptop' in logs['camera_sim.log']
    assert 'Traceback' not in ''.join(logs.values())
    assert not (run.out / 'description').exists()


def test_unusable_arguments_are_refused_before_anything_runs(tmp_path: Path, capsys) -> None:
    from kinediff3d_ros.tools.demo import run_demo

    (tmp_path / 'file').touch()
    for arguments, reason in ((('teapot', 1.0, True, tmp_path), 'unknown category'),
                              (('laptop', 1.0, True, tmp_path / 'file'), 'Not a directory'),
                              (('laptop', 1.0, True, tmp_path, 90.0), '--rate')):
        assert run_demo(*arguments) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith('kinediff3d demo: ') and reason in lines[0]
    assert not (tmp_path / 'logs').exists()


def test_a_node_that_ends_stops_the_demo_with_its_last_line() -> None:
    from kinediff3d_ros.tools.demo import DemoError, require_running

    running = SimpleNamespace(exit_status=None)
    ended = SimpleNamespace(exit_status=2, log=Path('logs/perception.log'), output=lambda: (
        '[INFO] [1.25] [perception]: loading\n[FATAL] [1.5] [left.perception]: no weights\n'))
    require_running([running])
    with pytest.raises(DemoError, match='^perception ended: no weights$'):
        require_running([running, ended])


def test_memory_growth_compares_the_second_and_the_last_tenth() -> None:
    from kinediff3d_ros.tools.demo import memory_growth

    samples = [500.0, 500.0, 100.0, 101.0, *[0.0] * 14, 200.0, 203.0]
    assert memory_growth(samples) == {'resident_mib': {'early': 100.5, 'late': 201.5}}
    assert memory_growth([float('nan')] * 20) == memory_growth([1.0] * 5) == {}
