"""Lengths among metrics in the unit of a data set, so that they stand beside published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kinediff3d_core.objects.estimate import JointEstimate

LENGTHS = ('err_m', 'std_m')
"""Ends of the names of metrics that are lengths in any category."""
JOINTS = ('joint_state_err', 'joint_state_std')
"""Starts of the names of metrics that are lengths where all joints are prismatic."""


def in_data_unit(metrics: Mapping[str, float], metres: float, joints: Sequence[JointEstimate],
                 ) -> dict[str, float]:
    """The metrics with their lengths in a unit of so many metres.

    Chamfer distances are relative to the object's size and stay as they are.

    Args:
        metrics: by name; lengths in m.
        joints: of the estimate.
    """
    slides = bool(joints) and all(j.joint_type == 'prismatic' for j in joints)
    return {name: value / metres if name.endswith(LENGTHS) or (slides and name.startswith(JOINTS))
            else value for name, value in metrics.items()}
