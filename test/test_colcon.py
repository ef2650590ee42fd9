"""colcon builds the package, copied and linked, and what it installs runs with its own Python."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip('colcon_ros', reason='needs colcon (README.md, On a robot)')

ROOT = Path(__file__).parents[1]
LIMIT = 240
"""Longest build on a busy machine, s."""

LINKS = int(version('setuptools').split('.')[0]) < 80
"""Later setuptools have no command that links; colcon then copies."""


@pytest.fixture(scope='module', params=['copied', 'linked'])
def prefix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed package."""
    if request.param == 'linked' and not LINKS:
        pytest.skip('setuptools 80 and later do not link a package: pip install "setuptools<80"')
    workspace = tmp_path_factory.mktemp(request.param)
    options = ['--symlink-install'] if request.param == 'linked' else []
    build = subprocess.run(
        [sys.executable, '-m', 'colcon', '--log-base', str(workspace / 'log'), 'build', *options,
         '--paths', str(ROOT), '--build-base', str(workspace / 'build'),
         '--install-base', str(workspace / 'install')],
        cwd=workspace, capture_output=True, text=True, timeout=LIMIT)
    assert build.returncode == 0, build.stdout + build.stderr
    linked = (workspace / 'install/kinediff3d_ros/share/kinediff3d_ros/package.xml').is_symlink()
    assert linked == (request.param == 'linked')
    return workspace / 'install/kinediff3d_ros'


def test_launch_finds_files_and_executables(prefix: Path) -> None:
    share = prefix / 'share/kinediff3d_ros'
    assert (prefix / 'share/ament_index/resource_index/packages/kinediff3d_ros').exists()
    for folder in ('launch', 'config'):
        assert {f.name for f in (share / folder).iterdir()} == {
            f.name for f in (ROOT / folder).iterdir() if f.is_file()}
    scripts = {f.name: f for f in (prefix / 'lib/kinediff3d_ros').iterdir()}
    assert set(scripts) == {
        'kinediff3d', 'perception_node', 'camera_sim_node', 'description_relay_node'}
    # Of a virtual environment, not the system's: only this one has torch.
    assert all(f.read_text().startswith(f'#!{sys.executable}\n') for f in scripts.values())
    assert all(os.access(f, os.X_OK) for f in scripts.values())


def test_an_installed_command_runs_and_has_the_weights(prefix: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    setup = f'. {prefix.parent / "setup.sh"} && export PYTHONPATH="$PYTHONPATH:$GIVEN"'
    where = 'import kinediff3d_core as k; print(k.__path__[0])'
    run = subprocess.run(
        ['sh', '-c', f'{setup} && {prefix}/lib/kinediff3d_ros/kinediff3d --help && '
                     f'{sys.executable} -c "{where}"'],
        cwd=prefix, capture_output=True, text=True, timeout=LIMIT,
        env={**environment, 'COLCON_CURRENT_PREFIX': str(prefix.parent),
             'GIVEN': os.environ.get('PYTHONPATH', '')})
    assert run.returncode == 0, run.stderr
    assert 'demo' in run.stdout and 'infer' in run.stdout
    core = Path(run.stdout.splitlines()[-1])
    assert prefix in core.parents or prefix.parents[1] / 'build' in core.parents
    assert (core / 'weights').is_dir() and list((core / 'weights').rglob('*.safetensors'))
