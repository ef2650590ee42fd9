"""What the demo prints for viewers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from kinediff3d_ros.tools import demo_viewers  # noqa: E402
from kinediff3d_ros.tools.demo import DemoError, last_error, require_running  # noqa: E402


def test_the_lines_have_domain_topics_and_paths_that_exist() -> None:
    text = demo_viewers.viewer_lines(42, 'laptop')
    view, rviz = (line for line in text.splitlines() if line.startswith('  ROS_DOMAIN_ID=42 '))
    assert view.endswith('kinediff3d view') and '/laptop/joint_states' in text
    words = rviz.split()
    assert Path(words[words.index('-d') + 1]).is_file()
    assert '-r __ns:=/laptop' in rviz and 'LOCALHOST' in rviz and 'LOCALHOST' in view


@pytest.mark.parametrize(('package', 'config'), [
    ('lib/python3.12/site-packages', 'share/kinediff3d_ros/config'),
    ('local/lib/python3.12/dist-packages', 'local/share/kinediff3d_ros/config'),
    ('checkout', 'checkout/config')])
def test_the_configuration_is_found_where_the_package_is_installed(
        package: str, config: str, tmp_path: Path) -> None:
    module = tmp_path / package / 'kinediff3d_ros' / 'tools' / 'demo_viewers.py'
    assert demo_viewers.rviz_config(module) is None
    (tmp_path / config).mkdir(parents=True)
    (tmp_path / config / 'perception.rviz').touch()
    assert demo_viewers.rviz_config(module) == tmp_path / config / 'perception.rviz'


LOG = """[INFO] [1764490000.1] [perception]: waiting for depth
[ERROR] [1764490001.2] [left.perception]: cannot configure: no weights at /x/laptop
[WARN] [1764490001.3] [rcl]: late
Aborted
"""


@pytest.mark.parametrize(('text', 'reason'), [
    (LOG, 'cannot configure: no weights at /x/laptop'), ('Killed\n', 'Killed'),
    ('', '(no output)')])
def test_a_node_that_ends_is_named_with_its_own_error(text: str, reason: str) -> None:
    node = SimpleNamespace(exit_status=1, output=lambda: text, log=Path('perception.log'))
    assert last_error(node) == (reason if '[ERROR]' in text else '')
    with pytest.raises(DemoError) as error:
        require_running([node])
    assert str(error.value) == f'perception ended: {reason}'
