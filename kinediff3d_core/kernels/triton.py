"""Whether Triton is installed: GPU kernels need it."""

from importlib.util import find_spec

TRITON = find_spec('triton') is not None
