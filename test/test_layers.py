"""Which folder may import which: imports go one way, and the core knows no ROS."""

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
    'diagnostic_updater',
    'geometry_msgs',
    'launch',
    'launch_ros',
    'lifecycle_msgs',
    'message_filters',
    'moveit_msgs',
    'nav_msgs',
    'object_recognition_msgs',
    'rcl_interfaces',
    'rosgraph_msgs',
    'sensor_msgs',
    'sensor_msgs_py',
    'shape_msgs',
    'std_msgs',
    'std_srvs',
    'tf2_msgs',
    'tf2_ros',
    'tf_transformations',
    'vision_msgs',
    'visualization_msgs',
)
CORE, NODES = 'kinediff3d_core', 'kinediff3d_ros'

LEAVES = {'distributed': (), 'kernels': (), 'io': ('geometry', 'objects'),
          'visualization': ('geometry', 'objects')}
"""Folders that any other may import, and what little they import themselves."""
ORDER = ('geometry', 'objects', 'observation', 'networks', 'diffusion', 'inference', 'tracking',
         'simulation', 'data', 'training', 'evaluation', 'cli')
"""Each folder imports those before it, and leaves."""
MAY_IMPORT = {f'{CORE}/{k}': v for k, v in LEAVES.items()} | {
    f'{CORE}/{folder}': (*ORDER[:i], *LEAVES) for i, folder in enumerate(ORDER)}
BELOW_GEOMETRY = ('io', 'visualization')
"""Leaves that build on geometry and objects, which therefore cannot import them."""

ROS_MAY_IMPORT = {
    'messages': (),
    'scene': (),
    'nodes': ('messages', 'scene'),
    'tools': ('messages', 'scene', 'nodes'),
}
NOT_ON_A_ROBOT = tuple(f'{CORE}.{folder}' for folder in ('data', 'training', 'evaluation'))


def files_of(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob('*.py'))
    assert files, folder
    return files


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Yield the full name of every module that a file imports, also through a string."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ('import_module', '__import__'):
            yield text_of(node.args[0], package)


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rsplit('.', 1)[-1]


def text_of(node: ast.expr, package: tuple[str, ...]) -> str:
    """A module's name as a call writes it; what only the running program knows reads '?'."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return ''.join(text_of(part, package) for part in node.values)
    if isinstance(node, ast.FormattedValue) and ast.unparse(node.value) == '__name__':
        return '.'.join(package)
    return '?'


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a module is one of the packages or inside one."""
    return any(module == p or module.startswith(p + '.') for p in packages)


def refuse(folder: str, packages: tuple[str, ...]) -> None:
    wrong = [f'{path.relative_to(ROOT)} imports {module}' for path in files_of(folder)
             for module in imported(path) if within(module, packages)]
    assert not wrong, '\n'.join(wrong)


def test_every_folder_of_the_core_has_its_place() -> None:
    folders = {p.name for p in (ROOT / CORE).iterdir() if (p / '__init__.py').exists()}
    assert folders == {*ORDER, *LEAVES}
    assert {p.name for p in (ROOT / CORE).glob('*.py')} == {'__init__.py'}


@pytest.mark.parametrize('folder', MAY_IMPORT)
def test_folders_of_the_core_import_one_way(folder: str) -> None:
    own = folder.split('/')[1]
    allowed = {*MAY_IMPORT[folder], own}
    if own in ('geometry', 'objects'):
        allowed -= {*BELOW_GEOMETRY}
    refuse(folder, tuple(f'{CORE}.{other}' for other in (*ORDER, *LEAVES) if other not in allowed))


@pytest.mark.parametrize('folder', ROS_MAY_IMPORT)
def test_folders_of_the_nodes_import_one_way(folder: str) -> None:
    allowed = {*ROS_MAY_IMPORT[folder], folder}
    refuse(f'{NODES}/{folder}', tuple(
        f'{NODES}.{other}' for other in ROS_MAY_IMPORT if other not in allowed))


@pytest.mark.parametrize('folder, packages', [
    (CORE, (*ROS, NODES)),
    (NODES, NOT_ON_A_ROBOT),
    (f'{NODES}/scene', ROS),
    ('pip_ros/python', (CORE, NODES, 'torch')),
])
def test_what_a_package_may_never_import(folder: str, packages: tuple[str, ...]) -> None:
    refuse(folder, packages)


def test_no_module_of_the_core_is_chosen_while_it_runs() -> None:
    """A module's name that only the running program knows could be a ROS package."""
    unknown = [str(path.relative_to(ROOT)) for path in files_of(CORE) for module in imported(path)
               if module.startswith('?')]
    assert not unknown


def test_no_module_imports_itself_through_others() -> None:
    modules = {module_of(p): p for f in (CORE, NODES) for p in files_of(f)}
    imports = {name: {m for m in imported(path) if m in modules and m != name}
               for name, path in modules.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, ' -> '.join((*way[way.index(name):], name))
        if name not in done:
            for other in sorted(imports[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in modules:
        visit(name, ())


@pytest.mark.parametrize('text, found', [
    ('from importlib import import_module\nimport_module("rclpy.node")', 'rclpy.node'),
    ('import importlib\nimportlib.import_module(f"kinediff3d_ros.{x}")', 'kinediff3d_ros.?'),
    ('__import__("tf2_ros")', 'tf2_ros'),
    ('def f():\n    from rclpy import node', 'rclpy.node'),
    ('from ..geometry import rigid', 'kinediff3d_core.geometry.rigid'),
])
def test_hidden_imports_are_found(text: str, found: str, monkeypatch, tmp_path) -> None:
    file = tmp_path / CORE / 'objects' / 'module.py'
    file.parent.mkdir(parents=True)
    file.write_text(text)
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    assert found in set(imported(file))


def test_open3d_is_imported_only_where_it_is_used() -> None:
    """Open3D needs system libraries and is large: no module may import it on being imported."""
    files = [p for f in (CORE, NODES) for p in files_of(f)]
    assert not [p for p in files
                if any(within(m, ('open3d',)) for m in imported(p, top_level_only=True))]


def test_the_rules_see_relative_and_nested_imports(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    file = tmp_path / 'a' / 'b' / 'c.py'
    file.write_text('from ..x import y\nfrom . import z\ndef f():\n    import rclpy.node\n')
    top_level = {'a.x', 'a.x.y', 'a.b', 'a.b.z'}
    assert set(imported(file)) == {*top_level, 'rclpy.node'}
    assert set(imported(file, top_level_only=True)) == top_level
    assert within('rclpy.node', ROS) and not within('rclpyx', ROS)


def test_a_pipeline_starts_without_the_compiler_of_torch() -> None:
    """Importing it doubles the time until the node is up; a dependency once imported it."""
    program = ('import sys; from kinediff3d_core import Pipeline; Pipeline.load("laptop"); '
               'print("torch._dynamo" in sys.modules)')
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                          check=True, cwd=ROOT)
    assert result.stdout.split() == ['False'], result.stderr
