"""Interface of a shape for the solver: signed distances of the parts and their derivatives."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.objects.category import Category


class Shape(Protocol):
    """Signed distances to the K parts of an articulated shape.

    :class:`~kinediff3d_core.networks.kavae.KAVAE` and
    :class:`~kinediff3d_core.tracking.sdf_grid.SdfGrid` are such shapes.
    """

    @property
    def category(self) -> Category:
        """Parts and joints."""

    @property
    def parts(self) -> int:
        """K."""

    def query(self, field: Field, points: Tensor) -> Tensor:
        """Signed distances (H, K, N) of points (H, K, N, 3) in part frames, canonical units."""

    def nearest(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Signed distance (H, N) to the nearest part of points (H, K, N, 3) in part frames, its
        gradient (H, N, 3) in that part's frame, and the part's index (H, N)."""


class DeformableShape(Shape, Protocol):
    """A shape whose part boxes and pivots depend on a code."""

    def layout_derivative(self, z: Tensor, q: Tensor) -> Tensor:
        """d(boxes and pivots) / d(code) (H, 6 K + 3 J, D) at codes z (H, D) and q (H, J)."""

    def with_layout(self, field: Field, z: Tensor, q: Tensor) -> Field:
        """The field with the boxes and pivots of other codes z (H, D)."""
