"""What every test may need."""

from kinediff3d_core.data.raycasting import load_libusb

# Before anything asks for Open3D in its own way.
load_libusb()
