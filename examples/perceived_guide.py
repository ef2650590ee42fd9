"""Guidance from the topics of the perception node alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from guidance import Guidance, Hold, Unseen, reachable_first
from lockstep import Lockstep
from nav_msgs.msg import Path
from vision_msgs.msg import Detection3D, Detection3DArray

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.urdf import joint_name
from kinediff3d_ros.messages.poses import matrix_from_pose
from kinediff3d_ros.tools.recorder import stamp_key

if TYPE_CHECKING:
    from world import World


class PerceivedGuide:
    """Guidance from ``handles/<part>`` and ``opening/<part>``.

    Args:
        lockstep: with the node. joint, part: names of what is to be opened.
    """

    def __init__(self, lockstep: Lockstep, joint: str, part: str, camera: Intrinsics) -> None:
        self._lockstep, self._camera, self._part = lockstep, camera, part
        self._joint = joint_name(lockstep.object_name, joint)
        self._handles = lockstep.subscribe(Detection3DArray, f'handles/{part}')
        self._path = lockstep.subscribe(Path, f'opening/{part}')

    def look(self, world: World) -> Guidance:
        """Guidance of the node's answer to the camera's view of the world, and nothing else."""
        joints = self._lockstep.send(world.view(), self._camera)
        if self._joint not in joints.name:
            raise Unseen(f'the object is seen, but no {self._part}')
        stamp = stamp_key(joints)
        handles = self._lockstep.answer(self._handles, stamp)
        path = self._lockstep.answer(self._path, stamp)
        return Guidance(reachable_first(_hold(d) for d in handles.detections),
                        np.array([matrix_from_pose(p.pose) for p in path.poses]))


def _hold(detection: Detection3D) -> Hold:
    """A place to hold the part; its score is zero where the gripper is not free."""
    result, size = detection.results[0], detection.bbox.size
    return Hold(matrix_from_pose(result.pose.pose), np.array([size.x, size.y, size.z]),
                result.hypothesis.score > 0)
