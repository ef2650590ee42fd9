"""Calls that a GPU replays from CUDA graphs: a descent is thousands of kernels that take longer to
launch one by one than to run."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

LIMIT = 96
"""Graphs that are kept; those not used for longest make way."""

Result = TypeVar('Result')


class Graphs:
    """Calls functions of tensors; on a GPU captured per shape of their arguments, and replayed.

    The functions must do the same work for the same shapes: no decision by values, no random
    numbers, nothing that waits for the GPU. Arguments and results are nests of tensors, tuples and
    dataclasses; other arguments, modules among them, are constants of a graph. The first call with
    new shapes runs as it is, the second is captured. Without a GPU all calls run as they are.
    Not thread-safe.
    """

    def __init__(self, device: torch.device) -> None:
        self._on = device.type == 'cuda'
        self._graphs: OrderedDict[Any, _Graph | None] = OrderedDict()
        self._pool: Any = None

    def __call__(self, function: Callable[..., Result], *args: Any) -> Result:
        if not self._on:
            return function(*args)
        tensors: list[Tensor] = []
        key = function, _spec(args, tensors)
        if key not in self._graphs:
            self._graphs[key] = None
            while len(self._graphs) > LIMIT:
                self._graphs.popitem(last=False)
            return function(*args)
        self._graphs.move_to_end(key)
        graph = self._graphs[key]
        if graph is None:
            try:
                if self._pool is None:
                    self._pool = torch.cuda.graph_pool_handle()
                graph = self._graphs[key] = _Graph(function, args, self._pool)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                logging.getLogger(__name__).warning(
                    'no CUDA graph of %s (%s); going on without any', function.__name__, error)
                self._on = False
                self._graphs.clear()
                return function(*args)
        out: Result = graph.replay(tensors)
        return out


class _Graph:
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], pool: Any) -> None:
        self._inputs: list[Tensor] = []

        def own(x: Tensor) -> Tensor:
            self._inputs.append(x.clone(memory_format=torch.contiguous_format))
            return self._inputs[-1]

        args = _mapped(args, own)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may go on with what cannot be captured.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode='thread_local'):
            self._out = function(*args)

    def replay(self, tensors: list[Tensor]) -> Any:
        for mine, given in zip(self._inputs, tensors, strict=True):
            mine.copy_(given)
        self._graph.replay()
        # All graphs share their memory: what one leaves there the next overwrites.
        return _mapped(self._out, torch.clone)


def _spec(x: Any, tensors: list[Tensor]) -> Any:
    """What makes a nest another one, tensors by shape and type; they are listed in order."""
    if isinstance(x, Tensor):
        tensors.append(x)
        return x.shape, x.dtype
    if isinstance(x, tuple):
        return tuple(_spec(y, tensors) for y in x)
    if _is_nest(x):
        return type(x), tuple(_spec(getattr(x, f.name), tensors) for f in fields(x))
    return x


def _mapped(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The nest with each of its tensors changed, in the order of :func:`_spec`."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, tuple):
        return tuple(_mapped(y, change) for y in x)
    if _is_nest(x):
        return type(x)(*(_mapped(getattr(x, f.name), change) for f in fields(x)))
    return x


def _is_nest(x: Any) -> bool:
    return is_dataclass(x) and not isinstance(x, (type, nn.Module))
