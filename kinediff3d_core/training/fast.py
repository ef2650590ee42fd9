"""Matrix products of networks in TF32 on a GPU; geometry keeps all of its digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def fast_matmul() -> Iterator[None]:
    """Where networks compute: a thousandth of a weight is nothing there, a millimetre in a metre
    is much in a camera's pose. Without a GPU nothing changes."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
