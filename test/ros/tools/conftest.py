"""Recordings that tests of several files read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope='module')
def page_server() -> Iterator[Any]:
    """A viser server on a free port."""
    pytest.importorskip('viser', reason='needs viser')
    from kinediff3d_ros.tools.browser_server import serve

    server = serve('127.0.0.1', 0)
    yield server
    server.stop()
