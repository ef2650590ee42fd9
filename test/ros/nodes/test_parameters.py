"""ROS descriptors of the parameters."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from kinediff3d_ros.nodes.parameters import descriptor  # noqa: E402
from kinediff3d_ros.scene.parameters import (  # noqa: E402
    CameraSimParameters,
    PerceptionParameters,
    fields,
)

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
