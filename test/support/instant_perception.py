"""The perception node as a process, with models that answer at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUPPORT = Path(__file__).parent


@contextmanager
def instant_perception(namespace: str, log: Path, **parameters: object,
                       ) -> Iterator[subprocess.Popen]:
    """Run the node in a namespace; it ends with the block, if it has not ended before."""
    arguments = [x for k, v in parameters.items() for x in ('-p', f'{k}:={v}')]
    path = [str(SUPPORT.parents[1]), str(SUPPORT), os.environ.get('PYTHONPATH', '')]
    with log.open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, __file__, '--ros-args', '-r', f'__ns:={namespace}', *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path))})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _main() -> int:
    from instant_models import InstantModels

    from kinediff3d_ros.nodes import perception

    perception.Models = lambda categories, *_: InstantModels(categories)
    return perception.main()


if __name__ == '__main__':
    sys.exit(_main())
