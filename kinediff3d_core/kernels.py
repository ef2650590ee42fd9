"""Whether GPU kernels of our own can be made: not every torch for CUDA brings Triton along."""

from importlib.util import find_spec

TRITON = find_spec('triton') is not None
