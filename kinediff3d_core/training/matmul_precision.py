"""TF32 for the matrix products of networks on a GPU; geometry keeps full float32 precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32_matmul() -> Iterator[None]:
    """Allow TF32 matrix products inside the block. On a CPU nothing changes.

    TF32 has a relative precision of about 1e-3. Networks tolerate it. Poses do not: it is a
    millimetre in a metre.
    """
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
