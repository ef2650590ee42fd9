"""Which of several masks in a file is the object's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MaskChoice:
    """What the caller says of the object's mask.

    Attributes:
        id: instance id of the object's pixels, or id of its COCO annotation.
        index: number of its mask in an array of masks, or of annotations, from 0.
        threshold: values above it are the object, in an image of probabilities or logits.
    """

    id: int | None = None
    index: int | None = None
    threshold: float | None = None


ANY = MaskChoice()
"""The only mask that is there."""


def indexed(count: int, index: int | None, what: str) -> int:
    """Which of ``count`` items to take.

    Raises:
        ValueError: none, several without an index, or an index beyond them.
    """
    if index is None and count != 1:
        raise ValueError(f'{count} {what}; choose one with --mask-index (0 to {count - 1})'
                         if count else f'no {what}')
    if index is not None and not 0 <= index < count:
        raise ValueError(f'no mask {index} among {count} {what} (--mask-index from 0)')
    return index or 0
