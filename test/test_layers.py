"""Which package may import which: the core knows no ROS, the nodes no training data."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROS = (
    'rclpy',
    'ament_index_python',
    'builtin_interfaces',
    'cv_bridge',
    'diagnostic_msgs',
    'geometry_msgs',
    'launch',
    'launch_ros',
    'rcl_interfaces',
    'sensor_msgs',
    'sensor_msgs_py',
    'std_msgs',
    'std_srvs',
    'tf2_msgs',
    'tf2_ros',
    'tf_transformations',
    'visualization_msgs',
)
LEARNING = ('kinediff3d_core.data', 'kinediff3d_core.training', 'kinediff3d_core.evaluation')
RULES = {
    'kinediff3d_core': (*ROS, 'kinediff3d_ros'),
    'kinediff3d_ros': LEARNING,
    'pip_ros/python': ('kinediff3d_core', 'kinediff3d_ros', 'torch'),
}


def imported(path: Path, top_level_only: bool = False, root: Path = ROOT) -> Iterator[str]:
    """Yield the full name of every module that a file imports."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = tree.body if top_level_only else ast.walk(tree)
    package = path.relative_to(root).parent.parts
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a module is one of the packages or inside one."""
    return any(module == p or module.startswith(p + '.') for p in packages)


@pytest.mark.parametrize('folder', RULES)
def test_imports_only_what_its_layer_may(folder: str) -> None:
    files = sorted((ROOT / folder).rglob('*.py'))
    assert files
    wrong = [
        f'{path.relative_to(ROOT)} imports {module}'
        for path in files
        for module in imported(path)
        if within(module, RULES[folder])
    ]
    assert not wrong, '\n'.join(wrong)


def test_open3d_is_imported_only_where_it_is_used() -> None:
    """Open3D needs system libraries and is large: no module may import it on being imported."""
    files = [p for f in ('kinediff3d_core', 'kinediff3d_ros') for p in (ROOT / f).rglob('*.py')]
    wrong = [
        p for p in files if any(within(m, ('open3d',)) for m in imported(p, top_level_only=True))
    ]
    assert not wrong


def test_the_rules_see_relative_and_nested_imports(tmp_path: Path) -> None:
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    file = tmp_path / 'a' / 'b' / 'c.py'
    file.write_text('from ..x import y\nfrom . import z\ndef f():\n    import rclpy.node\n')
    top_level = {'a.x', 'a.x.y', 'a.b', 'a.b.z'}
    assert set(imported(file, root=tmp_path)) == {*top_level, 'rclpy.node'}
    assert set(imported(file, top_level_only=True, root=tmp_path)) == top_level
    assert within('rclpy.node', ROS) and not within('rclpyx', ROS)


def test_a_pipeline_starts_without_the_compiler_of_torch() -> None:
    """Importing it doubles the time until the node is up; a dependency once did so unasked."""
    program = ('import sys; from kinediff3d_core import Pipeline; Pipeline.load("laptop"); '
               'print("torch._dynamo" in sys.modules)')
    told = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                          check=True, cwd=ROOT)
    assert told.stdout.split() == ['False'], told.stderr
