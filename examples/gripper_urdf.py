"""A gripper of three boxes, as a URDF."""

from __future__ import annotations

import numpy as np

from kinediff3d_core.objects.gripper import GRIPPER, GripperConfig

MASSES = (0.5, 0.05, 0.05)
"""Of the hand and of each finger, kg. Chosen."""

URDF = """<?xml version="1.0"?>
<robot name="gripper">
  <link name="hand">{hand}</link>
  <link name="finger_left">{left}</link>
  <link name="finger_right">{right}</link>
  <joint name="left" type="prismatic">
    <parent link="hand"/><child link="finger_left"/><axis xyz="-1 0 0"/>
    <limit lower="0" upper="{travel}" effort="1000" velocity="1"/>
  </joint>
  <joint name="right" type="prismatic">
    <parent link="hand"/><child link="finger_right"/><axis xyz="1 0 0"/>
    <limit lower="0" upper="{travel}" effort="1000" velocity="1"/>
  </joint>
</robot>
"""

BOX = """
    <inertial><mass value="{mass}"/>
      <inertia ixx="{i}" iyy="{i}" izz="{i}" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><origin xyz="{at}"/><geometry><box size="{size}"/></geometry></visual>
    <collision><origin xyz="{at}"/><geometry><box size="{size}"/></geometry></collision>
  """


def gripper_urdf(config: GripperConfig = GRIPPER) -> str:
    """The URDF of the gripper; the frame of its hand is that of the contact that it holds."""
    back = config.insertion - config.finger_length
    tip = config.insertion - config.finger_length / 2
    finger = np.array([config.finger_thickness, config.finger_width, config.finger_length])

    def box(mass: float, at: np.ndarray, size: np.ndarray) -> str:
        return BOX.format(mass=mass, i=mass * 1e-3, at=' '.join(map(str, at)),
                          size=' '.join(map(str, size)))

    side = np.array([finger[0] / 2, 0.0, 0.0])
    middle = np.array([0.0, 0.0, tip])
    hand = np.array(config.hand)
    return URDF.format(
        hand=box(MASSES[0], np.array([0.0, 0.0, back - hand[2] / 2]), hand),
        left=box(MASSES[1], middle - side, finger),
        right=box(MASSES[2], middle + side, finger),
        travel=config.stroke / 2)
