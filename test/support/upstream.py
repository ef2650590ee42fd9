"""Whether the tested ROS 2 packages are this repository's replacements or the upstream ones."""

from importlib import metadata

import pytest

try:
    metadata.distribution('kinediff3d-pip-ros')
    UPSTREAM = False
except metadata.PackageNotFoundError:
    UPSTREAM = True

replacement_only = pytest.mark.skipif(UPSTREAM, reason='upstream leaves this to the caller')
