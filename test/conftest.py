"""What every test may need."""

from kinediff3d_core.data.raycasting import load_libusb

# Before any module imports Open3D, so that it finds libusb.
load_libusb()
