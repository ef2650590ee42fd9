"""The nodes' heap, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
from kinediff3d_ros.scene.memory import configure_heap, trim_heap

def resident():
    line, = (x for x in open('/proc/self/status') if x.startswith('VmRSS:'))
    return int(line.split()[1]) // 1024

configure_heap()
blocks = [bytes(1000) for _ in range(200_000)]
kept = blocks[::100]
del blocks
holes = resident()
trim_heap()
print(holes, resident())
"""


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='needs /proc')
def test_holes_between_blocks_are_returned_to_the_system():
    run = subprocess.run([sys.executable, '-c', WORK], cwd=Path(__file__).parents[3], text=True,
                         capture_output=True, timeout=60, check=True)
    holes, trimmed = map(int, run.stdout.split())
    assert holes > 190 and trimmed < 0.5 * holes
