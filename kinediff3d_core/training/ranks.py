"""Several processes that train one network, started by torchrun: they average their gradients.

torchrun gives every process its rank in environment variables. Without them there is one process,
and averages and copies have no effect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Attributes: rank 0 .. size - 1; rank 0 alone writes files. device: this process's own.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks, all in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1).float() for t in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for t in tensors:
            t.copy_(flat[start:start + t.numel()].view_as(t))
            start += t.numel()

    def copy_from_first(self, module: nn.Module) -> None:
        """Give every rank the parameters and buffers of rank 0."""
        if self.size > 1:
            for t in module.state_dict().values():
                dist.broadcast(t, 0)

    def require_equal(self, number: int, what: str) -> None:
        """Check that all ranks hold the same number.

        Args:
            what: the number's name in the error, in the plural.

        Raises:
            ValueError: the numbers differ.
        """
        if self.size == 1:
            return
        numbers = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        numbers[self.rank] = number
        dist.all_reduce(numbers)
        if bool((numbers != number).any()):
            raise ValueError(f'processes start at different {what} {numbers.tolist()}: --out must '
                             'be one folder that all processes see')

    def wait(self) -> None:
        """Return when all ranks have called this."""
        if self.size > 1:
            dist.barrier()


def first_rank() -> bool:
    """Whether this process is rank 0, also before the group is joined."""
    return os.environ.get('RANK', '0') == '0'


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the process group that torchrun has prepared: NCCL with a GPU a process, else Gloo.

    Args:
        device: ``cuda`` without a number means the GPU of this process's local rank.

    Raises:
        ValueError: several processes are given one and the same GPU.
    """
    size = int(os.environ.get('WORLD_SIZE', '1'))
    if size == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == 'cuda':
        if device.index is not None:
            raise ValueError(f'device {device} with {size} processes: use cuda, then each process '
                             'uses its own GPU')
        device = torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
        torch.cuda.set_device(device)
    dist.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    try:
        yield Ranks(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
