"""Reacts to input that is missing, refused or has stopped."""

from __future__ import annotations

from dataclasses import dataclass

from kinediff3d_ros.scene.scene import Scene
from kinediff3d_ros.scene.scene_host import SceneHost


@dataclass(frozen=True)
class InputStatus:
    """State of the input.

    Attributes:
        topic: of the geometry.
        silence: time since its last message, s.
        stopped: whether the silence is so long that ``problem`` is that there are no messages.
        problem: what is missing or wrong, if no frame has been usable for a while.
    """

    topic: str
    silence: float
    stopped: bool
    problem: str | None


def check_input(scene: Scene, host: SceneHost, status: InputStatus) -> None:
    """Withdraw estimates when the input stops or is unusable; log what is missing.

    Called regularly.
    """
    health = host.health
    if health.state == 'waiting' and status.problem:
        health.enter('waiting', status.problem)
        host.log('waiting', status.problem)
    elif health.state == 'stale' and status.problem and not status.stopped:
        scene.withdraw_all('waiting', status.problem)
    elif health.state in ('waiting', 'stale'):
        pass
    elif status.silence > host.parameters.lost_after:
        scene.withdraw_all('stale', f'no more messages on {status.topic}')
    elif status.problem and not status.stopped:
        scene.withdraw_all('waiting', status.problem)
    else:
        scene.remove_absent()
