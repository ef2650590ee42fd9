"""What every test may need."""

import logging

import pytest

from kinediff3d_core.data.raycasting import load_libusb

# Before any module imports Open3D, so that it finds libusb.
load_libusb()


def pytest_addoption(parser):
    """Add the number of broken files that each reader gets."""
    parser.addoption('--broken-files', type=int, default=25, metavar='N',
                     help='broken files of each kind in test/io/test_broken_files.py')


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture,
           monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """pytest's fixture, also after an import of ROS's launch: its loggers do not propagate."""
    monkeypatch.setattr(logging, '_loggerClass', logging.Logger)
    for name, logger in logging.Logger.manager.loggerDict.items():
        if name.startswith('kinediff3d') and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, 'propagate', True)
    return caplog
