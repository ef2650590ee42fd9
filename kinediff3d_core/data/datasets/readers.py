"""The readers of public data sets, by the data set's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kinediff3d_core.data.datasets.artimage import ArtImage
from kinediff3d_core.data.datasets.dataset import Dataset
from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.data.datasets.partnet import PartNet
from kinediff3d_core.data.datasets.rbo import Rbo
from kinediff3d_core.data.datasets.reartmix import ReArtMix
from kinediff3d_core.data.datasets.shape2motion import open_shape2motion
from kinediff3d_core.objects.suggestion import unknown

READERS: dict[str, Callable[[Path, str | None], Dataset]] = {
    'artimage': ArtImage,
    'frames': Frames,
    'partnet': PartNet,
    'rbo': Rbo,
    'reartmix': ReArtMix,
    'shape2motion': open_shape2motion,
}
"""Constructors, of the root folder and the name of a split."""


def open_dataset(name: str, root: Path, split: str | None = None) -> Dataset:
    """The reader of a data set; ``split`` None is the one for evaluation.

    Raises:
        ValueError: unknown name; the reader's own errors.
    """
    if name not in READERS:
        raise ValueError(unknown('data set', name, sorted(READERS)))
    return READERS[name](root, split)
