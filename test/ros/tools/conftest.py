"""Recordings that tests of several files read."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def views() -> list:
    """Four simulated frames of a laptop while it opens."""
    import plain_bags

    return plain_bags.laptop_views()


@pytest.fixture(scope='session', params=('mcap', 'sqlite3'))
def bag(request, views, tmp_path_factory) -> Path:
    """A recording of the views with depth, camera_info, mask and truth, in either storage."""
    import bags

    return bags.record(tmp_path_factory.mktemp('bags') / request.param, request.param, views,
                       bags.DEPTH, bags.INFO, bags.MASK, bags.TRUTH)
