"""Calls that a GPU replays from CUDA graphs.

A refinement is thousands of kernels that take longer to launch one by one than to run.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

LIMIT = 96
"""Largest number of stored graphs; the least recently used ones are dropped. Chosen."""

Result = TypeVar('Result')


class Graphs:
    """Calls functions of tensors: on a GPU it captures one graph for each shape of the arguments.

    The functions must do the same work for the same shapes: they may not decide by values, use
    random numbers, or wait for the GPU. Arguments and results are nested tensors, tuples and
    dataclasses; other arguments, for instance modules and numbers, are constants of a graph. The
    first call with new shapes runs directly, the second one is captured, further ones replay it.
    Without a GPU all calls run directly.

    Several threads may call. All graphs share their memory, so a lock is held from before a
    call's arguments are copied in until its results are copied out: of two replays or captures,
    one begins after the other has ended. On the GPU this order holds between threads that use the
    same CUDA stream, as all do that do not choose another one. Calls that run directly wait only
    while the graphs are looked up.
    """

    def __init__(self, device: torch.device) -> None:
        self._on = device.type == 'cuda'
        self._graphs: OrderedDict[Any, _Graph | None] = OrderedDict()
        self._pool: Any = None
        self._lock = threading.Lock()

    def __call__(self, function: Callable[..., Result], *args: Any) -> Result:
        if not self._on:
            return function(*args)
        tensors: list[Tensor] = []
        key = function, _spec(args, tensors)
        with self._lock:
            graph = self._graph(key, function, args)
            if graph is not None:
                out: Result = graph.replay(tensors)
                return out
        return function(*args)

    def _graph(self, key: Any, function: Callable[..., Any], args: tuple[Any, ...],
               ) -> _Graph | None:
        """The graph of a call, captured if it is the second of its kind; None runs it directly."""
        if not self._on:  # another thread has found out meanwhile
            return None
        if key not in self._graphs:
            self._graphs[key] = None
            while len(self._graphs) > LIMIT:
                self._graphs.popitem(last=False)
            return None
        self._graphs.move_to_end(key)
        if self._graphs[key] is None:
            try:
                if self._pool is None:
                    self._pool = torch.cuda.graph_pool_handle()
                self._graphs[key] = _Graph(function, args, self._pool)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                logging.getLogger(__name__).warning(
                    'no CUDA graph of %s (%s); all calls now run directly',
                    function.__name__, error)
                self._on = False
                self._graphs.clear()
                return None
        return self._graphs[key]


class _Graph:
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], pool: Any) -> None:
        self._inputs: list[Tensor] = []

        def copied(x: Tensor) -> Tensor:
            self._inputs.append(x.clone(memory_format=torch.contiguous_format))
            return self._inputs[-1]

        args = _mapped(args, copied)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may call what cannot be captured.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode='thread_local'):
            self._out = function(*args)

    def replay(self, tensors: list[Tensor]) -> Any:
        for own, given in zip(self._inputs, tensors, strict=True):
            own.copy_(given)
        self._graph.replay()
        # All graphs share their memory: the next one overwrites these results.
        return _mapped(self._out, torch.clone)


def _spec(x: Any, tensors: list[Tensor]) -> Any:
    """A hashable description of nested arguments, tensors by shape and type.

    Args:
        tensors: gets the tensors in order.
    """
    if isinstance(x, Tensor):
        tensors.append(x)
        return x.shape, x.dtype
    if isinstance(x, tuple):
        return tuple(_spec(y, tensors) for y in x)
    if _is_nested(x):
        return type(x), tuple(_spec(getattr(x, f.name), tensors) for f in fields(x))
    return x


def _mapped(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Nested arguments with each tensor changed, in the order of :func:`_spec`."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, tuple):
        return tuple(_mapped(y, change) for y in x)
    if _is_nested(x):
        return type(x)(*(_mapped(getattr(x, f.name), change) for f in fields(x)))
    return x


def _is_nested(x: Any) -> bool:
    """Whether a value is a dataclass whose fields are mapped one by one."""
    return is_dataclass(x) and not isinstance(x, (type, nn.Module))
