# Before a node imports torch, kinediff3d_core lets idle threads sleep (distributed/threads.py).
import kinediff3d_core  # noqa: F401
