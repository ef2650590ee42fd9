"""Threads of torch: how many, and that idle ones do not take the cores of busy ones."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kinediff3d_core.distributed import threads

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def same_threads_after():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(('given', 'cores', 'count'), [
    (None, 1, 1), (None, 2, 1), (None, 16, 8), ('3', 16, 3), ('2,1', 16, 2), ('many', 8, 4)])
def test_half_of_the_cores_or_as_the_environment_says(given, cores, count, monkeypatch):
    if given is None:
        monkeypatch.delenv(threads.THREADS, raising=False)
    else:
        monkeypatch.setenv(threads.THREADS, given)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(cores)), raising=False)
    assert threads.default_threads() == count
    threads.set_threads()
    assert torch.get_num_threads() == count
    threads.set_threads(count + 1)
    assert torch.get_num_threads() == count + 1


WORK = '''
import os, subprocess, sys, time, types
from kinediff3d_core.cli import main
import torch

def work(options):
    x = torch.rand(100_000)  # in parallel from 32,768 entries on
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(100):
        x.sin()
    print('SECONDS', time.perf_counter() - wall, time.process_time() - cpu)
    return 0

def add(commands):
    command = commands.add_parser('work')
    command.add_threads()
    command.set_defaults(run=work)

main.entry_points = lambda group: [types.SimpleNamespace(name='work', load=lambda: add)]
neighbours = [subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass'])
              for _ in range(os.cpu_count() or 1)]
try:
    for _ in range(int(sys.argv[2])):
        for arguments in ([], ['--threads', sys.argv[1]], ['--threads', '1']):
            main.main(['work', *arguments])
finally:
    for process in neighbours:
        process.kill()
'''
"""A command that does many small parallel steps: with its own threads, with all, and with one."""
ROUNDS = 5
"""How often they take turns; the shortest of each counts, since other processes come and go."""


def test_beside_busy_processes_a_command_takes_no_more_than_one_thread_does():
    """Idle threads that wait in a busy loop take ten times the time of the work.

    CPU time counts for all, since it depends on the command alone. Wall time counts for its own
    threads: they wait for each other, and a busy core lets one of them wait.
    """
    environment = {k: v for k, v in os.environ.items()
                   if k not in (threads.THREADS, threads.WAIT_POLICY)}
    out = subprocess.run(
        [sys.executable, '-c', WORK, str(max(2, os.cpu_count() or 1)), str(ROUNDS)],
        capture_output=True, text=True, env={
            **environment, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p),
            'CUDA_VISIBLE_DEVICES': ''}, cwd=ROOT, check=True)
    seconds = np.array([line.split()[1:] for line in out.stdout.splitlines()
                        if line.startswith('SECONDS')], float).reshape(ROUNDS, 3, 2)
    (own_wall, own), (_, many), (one_wall, one) = seconds.min(0)
    assert own < 2 * one and many < 2 * one, seconds
    assert own_wall < 2 * one_wall, seconds
