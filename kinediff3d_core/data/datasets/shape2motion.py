"""Shape2Motion, in the layout of ANCSH's code or as A-SDF releases it (docs/datasets.md)."""

from __future__ import annotations

from pathlib import Path

from kinediff3d_core.data.datasets.asdf_release import AsdfRelease
from kinediff3d_core.data.datasets.dataset import Dataset
from kinediff3d_core.data.datasets.shape2motion_objects import Shape2MotionObjects


def open_shape2motion(root: Path, split: str | None = None) -> Dataset:
    """The reader of the layout that a folder has.

    Raises:
        ValueError: neither layout, or no such split.
    """
    root = Path(root)
    if (root / 'objects').is_dir():
        return Shape2MotionObjects(root, split)
    if (root / 'data' / 'SdfSamples').is_dir():
        return AsdfRelease(root, split)
    raise ValueError(f'{root} has neither objects/<class>/<id>/part_objs (ANCSH\'s layout) nor '
                     'data/SdfSamples (A-SDF\'s)')
