"""Standard output of commands and programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

PIPE_CLOSED = 141
"""Exit status after the reader of the output has ended, as a shell reports SIGPIPE."""


def until_pipe_closes(work: Callable[[], int]) -> int:
    """The exit status of some work that prints, or :data:`PIPE_CLOSED` without a message where the
    reader of the output, such as ``head``, has ended."""
    try:
        try:
            return work()
        finally:  # Here, because the interpreter reports the error if it has to flush at its end.
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return PIPE_CLOSED
