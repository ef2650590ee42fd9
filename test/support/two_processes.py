"""Two processes of one task, by torch's launcher or started as it starts them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 240
"""Longest run, s."""


def environment():
    """Of a process with one thread on the CPU that finds the packages."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': path}


def torchrun(folder, script, *arguments):
    """Two processes that run a script, by torch's launcher."""
    file = folder / 'script.py'
    file.write_text(script)
    return subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone',
                           '--nproc-per-node', '2', str(file), *map(str, arguments)],
                          env=environment(), capture_output=True, text=True, timeout=LIMIT)


COMMANDS = '''
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from kinediff3d_core.cli import main
done = []
for port, arguments in json.loads(sys.argv[1]):
    os.environ['MASTER_PORT'] = str(port)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = main.main(arguments)
    done.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(done))
'''
"""Runs command lines one after the other, since to import torch takes longer than any of them."""


def run_two(*commands):
    """Command lines in two processes, started as torchrun starts them but sooner.

    Returns:
        one list a rank, with (exit status, stdout, stderr) of each command.
    """
    given = json.dumps([(free_port(), [str(a) for a in command]) for command in commands])
    ranks = [subprocess.Popen(
        [sys.executable, '-c', COMMANDS, given], stdout=subprocess.PIPE, text=True,
        env={**environment(), 'MASTER_ADDR': '127.0.0.1', 'WORLD_SIZE': '2', 'RANK': str(rank),
             'LOCAL_RANK': str(rank)}) for rank in range(2)]
    try:
        texts = [process.communicate(timeout=LIMIT)[0] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    return [json.loads(text) for text in texts]


def free_port():
    """A TCP port of this machine that nobody uses."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]
