"""Whether the tests run on the packages of pip_ros/ or on those of an installed ROS 2."""

from importlib import metadata

import pytest

try:
    metadata.distribution('kinediff3d-pip-ros')
    ROS_INSTALLED = False
except metadata.PackageNotFoundError:
    ROS_INSTALLED = True

pip_ros_only = pytest.mark.skipif(ROS_INSTALLED, reason='ROS 2 leaves this to the caller')
