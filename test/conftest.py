"""What every test may need."""

from kinediff3d_core.data.raycasting import load_libusb

# Before any module imports Open3D, so that it finds libusb.
load_libusb()


def pytest_addoption(parser):
    """Add the number of broken files that each reader gets."""
    parser.addoption('--broken-files', type=int, default=25, metavar='N',
                     help='broken files of each kind in test/io/test_broken_files.py')
