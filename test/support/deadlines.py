"""A deadline for work on several threads: if it passes, the stacks of all threads are shown."""

from __future__ import annotations

import faulthandler
import tempfile
import threading
from collections.abc import Callable


def run_within(seconds: float, work: Callable[[], None]) -> None:
    """Run work on a thread of its own; its exceptions are raised here.

    Raises:
        AssertionError: the work has not ended in time, as in a deadlock; the message has the
            stacks of all threads at that time.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name='work with a deadline', daemon=True)
    with tempfile.TemporaryFile('w+') as stacks:
        faulthandler.dump_traceback_later(seconds, file=stacks)
        thread.start()
        # A little more than the deadline, so that the stacks are complete.
        thread.join(seconds + 1.0)
        faulthandler.cancel_dump_traceback_later()
        stacks.seek(0)
        text = stacks.read()
    if thread.is_alive():
        raise AssertionError(f'not ended within {seconds:g} s:\n{text}')
    if errors:
        raise errors[0]
