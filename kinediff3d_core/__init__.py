"""Articulated objects from one depth image: part poses, joints, meshes and URDF (no ROS here)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kinediff3d_core.distributed.threads import sleep_when_idle

if TYPE_CHECKING:
    from kinediff3d_core.geometry.camera import Intrinsics
    from kinediff3d_core.inference.pipeline import Pipeline
    from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate

__all__ = ['ArticulatedEstimate', 'Intrinsics', 'NoEstimate', 'Pipeline']

_HOME = {'ArticulatedEstimate': 'objects.estimate', 'NoEstimate': 'objects.estimate',
         'Intrinsics': 'geometry.camera', 'Pipeline': 'inference.pipeline'}

sleep_when_idle()  # Here, because it has to be before the first import of torch.


def __getattr__(name: str) -> object:
    """Import torch and the networks only when they are asked for."""
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOME[name]}'), name)
