"""The perception node as a process that answers each image before the next one is sent.

What it answers therefore does not depend on how fast the machine is, but for full estimates that
run beside the tracking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from guidance import Unseen
from sensor_msgs.msg import CameraInfo, Image, JointState
from view import View

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.urdf import default_object_name
from kinediff3d_ros.messages.camera_info import info_from_intrinsics
from kinediff3d_ros.messages.headers import NANOSECONDS, header_from_stamp
from kinediff3d_ros.messages.images import image_from_pixels
from kinediff3d_ros.tools.demo import require_running
from kinediff3d_ros.tools.processes import NodeProcess, private_graph
from kinediff3d_ros.tools.recorder import Recorder, TopicLog, stamp_key

FRAME = 'camera_depth_optical_frame'
ANSWER_LIMIT = 300.0
"""Seconds within which the node starts, and answers an image. Chosen for a busy machine."""
TRIAL_GAP = 3600.0
"""Each trial starts this long before the one before it, s: the node takes stamps that go back
as a simulation that starts again, and forgets the object. Stamps in the future it refuses."""
RESEND_PERIOD = 20.0
"""An image without an answer is sent again after this time, s: what is sent before the node has
discovered all topics is lost. Chosen: longer than a full estimate takes."""
REPETITION = 1_000_000
"""By this much its stamp is then later, ns, as is that of another view at the same time."""
KEPT = 20
"""Messages that are kept of a topic. Chosen."""
PARAMETERS = Path(__file__).with_name('perception.yaml')
"""Of the perception node, beside the category."""
TRANSPORTS = ('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
"""Environment variable of Fast DDS: images go through shared memory or TCP. Of the packets of UDP
a loaded machine loses some, and they are sent again seconds later."""
REFUSALS = ('no_estimates', 'bad_inputs', 'errors')
"""Counters of /diagnostics for images without an estimate."""


Stamp = tuple[int, int]
"""Seconds and nanoseconds."""


class Lockstep:
    """Sends images to a perception node of its own and waits for the answer to each.

    Args:
        log: file for the node's output; None: a node of the category runs already, in the
            domain of ``ROS_DOMAIN_ID``.
    """

    def __init__(self, category: str, log: Path | None) -> None:
        self.object_name = default_object_name(category)
        self._processes: tuple[NodeProcess, ...] = ()
        os.environ.setdefault(*TRANSPORTS)
        domain = int(os.environ.get('ROS_DOMAIN_ID', 0)) if log is None else private_graph()
        self._recorder = Recorder(domain, 'robot')
        create = self._recorder.node.create_publisher
        self._info = create(CameraInfo, 'depth/camera_info', 10)
        self._mask = create(Image, 'mask', 10)
        self._depth = create(Image, 'depth/image_rect', 10)
        self._joints = self.subscribe(JointState, 'joint_states')
        self._diagnostics = self._recorder.subscribe(DiagnosticArray, '/diagnostics', keep=KEPT)
        self._start = time.time()
        self._last = 0
        self._refused = 0
        if log is not None:  # The last: what fails before leaves no process behind.
            log.parent.mkdir(parents=True, exist_ok=True)
            self._processes = (NodeProcess('perception', log, parameters={
                'category': category, 'description_dir': str(log.parent / category),
                **yaml.safe_load(PARAMETERS.read_text())['/**']['ros__parameters']}),)

    def __enter__(self) -> Lockstep:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._recorder.close()
        for process in self._processes:
            process.stop()

    def subscribe(self, kind: type, topic: str) -> TopicLog:
        """The log of one of the object's topics."""
        return self._recorder.subscribe(kind, f'{self.object_name}/{topic}', keep=KEPT)

    def restart(self) -> None:
        """Begin a trial: the node knows no object."""
        self._start -= TRIAL_GAP
        self._last = 0

    def send(self, view: View, camera: Intrinsics) -> JointState:
        """The joint states of a view.

        Raises:
            Unseen: there is no estimate; the message has the node's reason.
            TimeoutError, kinediff3d_ros.tools.demo.DemoError: the node does not answer, or has
                ended.
        """
        self._wait(self._matched, 'start of the perception node')
        stamps: list[Stamp] = []
        due = time.monotonic()

        def answered() -> object:
            nonlocal due
            if time.monotonic() >= due:
                stamps.append(self._publish(view, camera))
                due = time.monotonic() + RESEND_PERIOD
            return (any(at_stamp(self._joints, stamp) for stamp in stamps)
                    or self._refusals() > self._refused)

        self._wait(answered, 'answer of the perception node')
        joints = next(filter(None, (at_stamp(self._joints, stamp) for stamp in stamps)), None)
        if joints is None:
            self._refused = self._refusals()
            raise Unseen(self._status().get('message', 'no estimate'))
        return joints

    def answer(self, log: TopicLog, stamp: Stamp) -> Any:
        """The message of another topic of the object with a stamp, as (s, ns); waits for it."""
        return self._recorder.wait_for(lambda: at_stamp(log, stamp), ANSWER_LIMIT, 'message')

    def _matched(self) -> bool:
        """Whether the node listens and talks, as far as this process knows."""
        return (all(p.get_subscription_count() for p in (self._info, self._mask, self._depth))
                and bool(self._diagnostics.entries))

    def _publish(self, view: View, camera: Intrinsics) -> Stamp:
        """Publish a view; returns its stamp, which is later than all others of the trial."""
        self._last = max(int((self._start + view.seconds) * NANOSECONDS),
                         self._last + REPETITION)
        header = header_from_stamp(self._last, FRAME)
        self._info.publish(info_from_intrinsics(camera, header))
        self._mask.publish(image_from_pixels(view.mask.astype(np.uint8) * 255, 'mono8', header))
        depth = np.round(view.depth * 1e3).astype(np.uint16)
        self._depth.publish(image_from_pixels(depth, '16UC1', header))
        return header.stamp.sec, header.stamp.nanosec

    def _status(self) -> dict[str, str]:
        """Values and message of the object's newest diagnostics; empty before the first."""
        for array in reversed(self._diagnostics.messages):
            for status in array.status:
                if status.hardware_id == self.object_name:
                    return {**{v.key: v.value for v in status.values}, 'message': status.message}
        return {}

    def _refusals(self) -> int:
        status = self._status()
        return sum(int(status.get(name, 0)) for name in REFUSALS)

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        def check() -> object:
            require_running(self._processes)
            return condition()

        self._recorder.wait_for(check, ANSWER_LIMIT, what)


def at_stamp(log: TopicLog, stamp: Stamp) -> Any:
    """The message with a stamp, as (s, ns); None if there is none."""
    return next((m for m in reversed(log.messages) if stamp_key(m) == stamp), None)
