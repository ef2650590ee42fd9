"""ROS descriptors of the parameters."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.context import Context  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from kinediff3d_ros.nodes.parameters import declare, descriptor  # noqa: E402
from kinediff3d_ros.scene.parameters import (  # noqa: E402
    CameraSimParameters,
    PerceptionParameters,
    fields,
)
from kinediff3d_ros.tools.processes import private_graph  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.mark.parametrize('parameters', [PerceptionParameters, CameraSimParameters])
def test_every_parameter_is_described_and_every_number_has_a_range(parameters: type) -> None:
    for name, (default, spec) in fields(parameters).items():
        message = descriptor(default, spec)
        assert message.description.strip(), name
        if isinstance(default, float):
            low, high = (message.floating_point_range[0].from_value,
                         message.floating_point_range[0].to_value)
            assert low <= default <= high
        elif isinstance(default, int) and not isinstance(default, bool):
            low, high = message.integer_range[0].from_value, message.integer_range[0].to_value
            assert low <= default <= high


@pytest.mark.parametrize(('name', 'value', 'reason'), [
    ('mesh_uri', 'http://x', 'write file, relative or package://'),
    ('planning_parts', 'ldi', 'did you mean lid?'),
    ('category', 'box', 'is read when the node is configured'),
    ('publish_tf', 'all', 'known: parts, base, none'),
])
def test_changes_that_a_configured_node_cannot_use_are_refused(
        name: str, value: str, reason: str) -> None:
    context = Context()
    context.init(domain_id=private_graph())
    node, configured = Node('perception', context=context), [False]
    declare(node, PerceptionParameters, lambda: configured[0])
    before = node.get_parameter(name).value
    configured[0] = name != 'publish_tf'
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful and reason in result.reason
    assert node.get_parameter(name).value == before
    assert node.set_parameters([Parameter('planning_parts', value='base')])[0].successful
    node.destroy_node()
    context.try_shutdown()
