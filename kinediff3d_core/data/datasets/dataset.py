"""What a reader of a public data set gives: annotated views, and objects to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.truth import Truth
from kinediff3d_core.geometry.camera import Intrinsics

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class DatasetView:
    """One annotated object in one depth image.

    Attributes:
        name: unique in the data set, from its own file names.
        depth: (H, W) m, 0 where there is no measurement.
        mask: (H, W) bool, the whole object; None where the data set has no mask.
        intrinsics: of the depth camera.
        truth: in the canonical frame (docs/conventions.md). What the data set does not state is
            NaN: poses, positions, axes. Surfaces are None where it has no shapes.
        notes: one line for each thing that had to be inferred or that looks wrong.
        metres: length of the data set's own unit in the depth and truth here, where the reader
            scales objects to their real size. Lengths in published tables are ours divided by it.
    """

    name: str
    depth: Array
    mask: Array | None
    intrinsics: Intrinsics
    truth: Truth
    notes: tuple[str, ...] = ()
    metres: float = 1.0


class Dataset(Protocol):
    """One split of a data set on disk.

    A reader's constructor takes the root folder and the name of a split. It lists the views
    without reading them, in the published order.

    Raises:
        ValueError: the root has not the published layout, or there is no such split; the message
            says which file is missing.
    """

    splits: tuple[str, ...]
    """Names of the published splits, the one for evaluation first."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """One line for each file, or kind of object, that is not among the views."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of our categories that this split has, in the order of ``CATEGORIES``."""

    def views(self, category: str) -> Sequence[str]:
        """Names of the views of a category."""

    def read_view(self, name: str) -> DatasetView:
        """Read one view.

        Raises:
            ValueError: a broken or contradictory file; one line that names it.
        """

    def objects(self, category: str) -> Sequence[str]:
        """Names of the objects of a category that can be trained on; empty without shapes."""

    def training_samples(self, name: str, views: int, generator: torch.Generator,
                         ) -> dict[str, Tensor]:
        """Tensors of :mod:`kinediff3d_core.data.sample_files` of one object.

        Args:
            views: number of views.
            generator: on the CPU.

        Raises:
            ValueError: an object that cannot be used; one line that names it.
        """
