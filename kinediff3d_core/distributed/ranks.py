"""Several processes that work on one task, started by torchrun.

They train one network together and average their gradients (:func:`joined`), or they share many
inputs (:func:`sharing`). torchrun gives every process its rank in environment variables. Without
them there is one process, and averages, copies and exchanges have no effect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Item = TypeVar('Item')

LONGEST_WAIT = timedelta(days=7)
"""Longest time for which processes that share inputs wait for the slowest one. Chosen: inputs may
take hours, and torchrun itself ends all processes when one fails."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that work together.

    Attributes: rank 0 .. size - 1; rank 0 alone writes files. device: this process's own.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share(self, inputs: Sequence[Item]) -> list[Item]:
        """Every size-th input, from number ``rank`` on: those that this process works on."""
        return list(inputs[self.rank::self.size])

    def gather(self, text: str) -> list[str]:
        """Texts of all ranks, in their order. All ranks have to call this.

        Raises:
            ValueError: another process has ended.
        """
        if self.size == 1:
            return [text]
        own = list(text.encode())
        counts = self._gather(torch.tensor([len(own)]))
        # All tensors of a message have the same length.
        longest = max(1, *(int(n) for n in counts))
        messages = self._gather(torch.tensor(own + [0] * (longest - len(own)), dtype=torch.uint8))
        return [bytes(m.tolist()[:int(n)]).decode() for m, n in zip(messages, counts, strict=True)]

    def total(self, number: int) -> int:
        """Sum of a number over the ranks. All ranks have to call this."""
        return sum(int(n) for n in self.gather(str(number)))

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        """Tensors of all ranks, of one shape."""
        own = tensor if dist.get_backend() == 'gloo' else tensor.to(self.device)
        found = [torch.zeros_like(own) for _ in range(self.size)]
        with _one_line():
            dist.all_gather(found, own)
        return found

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
        """Return when all ranks have called this.

        Raises:
            ValueError: another process has ended.
        """
        if self.size > 1:
            with _one_line():
                dist.barrier()


@contextmanager
def _one_line() -> Iterator[None]:
    """Replace torch's long error about a process that has ended by one line."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError('another process has ended; its own message says why') from error


ALONE = Ranks(0, 1, torch.device('cpu'))
"""The one process that was started without torchrun, on the CPU."""


def first_rank() -> bool:
    """Whether this process is rank 0, also before the group is joined."""
    return os.environ.get('RANK', '0') == '0'


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that train together: NCCL with a GPU a process, else Gloo.

    Args:
        device: ``cuda`` without a number means the GPU of this process's local rank.

    Raises:
        ValueError: several processes are given one and the same GPU.
    """
    with _group(device, 'nccl' if device.type == 'cuda' else 'gloo') as ranks:
        yield ranks


@contextmanager
def sharing(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that share inputs. They exchange texts through Gloo and wait for long.

    Args:
        device: ``cuda`` without a number means that processes use a machine's GPUs in turn.

    Raises:
        ValueError: several processes are given one and the same GPU by its number.
    """
    with _group(device, 'gloo', LONGEST_WAIT) as ranks:
        yield ranks


@contextmanager
def _group(device: torch.device, backend: str, wait: timedelta | None = None) -> Iterator[Ranks]:
    """The process group that torchrun has prepared."""
    size = int(os.environ.get('WORLD_SIZE', '1'))
    if size == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == 'cuda':
        device = _own_gpu(device, size, alone=backend == 'nccl')
    dist.init_process_group(backend, timeout=wait)
    try:
        yield Ranks(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def _own_gpu(device: torch.device, size: int, alone: bool) -> torch.device:
    """The GPU of this process's local rank.

    Args:
        alone: no other process may use it. Otherwise processes use the GPUs in turn.

    Raises:
        ValueError: the device has a number, or there are too few GPUs.
    """
    if device.index is not None:
        raise ValueError(f'device {device} with {size} processes: use cuda, then each process '
                         'uses its own GPU')
    number, count = int(os.environ.get('LOCAL_RANK', '0')), torch.cuda.device_count()
    if count == 0 or (alone and number >= count):
        raise ValueError(f'local rank {number} needs a GPU of its own, {count} are visible: start '
                         'fewer processes')
    device = torch.device('cuda', number % count)
    torch.cuda.set_device(device)
    return device
