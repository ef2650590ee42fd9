"""Thresholds of tracking. Lengths are canonical units (metres / category scale) unless noted.

An ablation is a configuration with another value:

    off = replace(DEFAULT, joint_limits=replace(DEFAULT.joint_limits, merge_share=0.0))
    SequenceTracker(pipeline, config=off)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kinediff3d_core.observation.planes import PointPlaneConfig


@dataclass(frozen=True)
class SdfGridConfig:
    """The grid on which the signed distances of one shape are stored."""

    nodes: int = 25
    """Nodes along each axis of the fine region. Chosen: coarser grids blur thin lids."""
    fine_extent: float = 1.2
    """Extent of the fine region, times the part's box. As the feature planes of the KA-VAE,
    which are constant beyond it."""
    outer_nodes: int = 2
    """Nodes beyond the fine region, at each end of an axis. Chosen."""
    margin: float = 0.1
    """How far the outer nodes reach beyond the fine region. Chosen: farther points have only the
    distance to the box."""
    joint_slack: float = 0.03
    """How far a sliding part may be fitted beyond its lower limit in one frame. Chosen."""


@dataclass(frozen=True)
class FitConfig:
    """The fit of pose and joints to one frame."""

    cloud_points: int = 6000
    """The cloud is thinned to between one and two times this many points. Chosen: more points
    cost time and do not change the errors."""
    residual_points: int = 320
    """Observed points that residuals use. Chosen."""
    surface_samples: int = 64
    """Surface samples of each part that residuals use. Chosen."""
    iterations: int = 3
    """Levenberg-Marquardt iterations of a frame. Chosen."""
    search_iterations: int = 12
    """Levenberg-Marquardt iterations after a search over joint positions, which is coarse.
    Chosen."""
    robust_width: float = 0.03
    """Width of the Geman-McClure weights of the residuals. Chosen."""


@dataclass(frozen=True)
class CropConfig:
    """How the object's points are found around its predicted surface in a frame without a mask."""

    shape_margin: float = 0.03
    """Distance of points on the object from its surface in the fitted pose: errors of the shape.
    Chosen: as :attr:`FitConfig.robust_width`."""
    speed: float = 0.6
    """Speed of a surface against its prediction, a second. Chosen: the acceleration of a lid that
    a hand moves."""
    max_margin: float = 0.1
    """Largest distance from the predicted surface. Chosen: three robust widths; points farther
    away do not pull the fit."""
    beside: float = 0.4
    """What is shown beside the object in the image, share of its longer side. As half of
    :attr:`FreeSpaceConfig.size` beyond 1."""
    box_margin: float = 0.1
    """Margin of the box around surface samples outside which no distances are computed. Chosen:
    samples do not reach every corner."""
    least_depth: float = 0.05
    """Surface nearer than this is projected as if it were this far away, m. Chosen: it bounds the
    division by z."""
    max_pixels: int = 20000
    """Pixels of the image that are used, about. Chosen: the fit thins the cloud to 6000 points."""
    least_pixels: int = 5000
    """As ``max_pixels``, of a crop around many states, whose number divides it. Chosen."""
    planes: int = 2
    """Planes beside the object: a table and a wall; 0 turns it off. Chosen."""
    least_seen: int = 16
    """Surface samples, fewest, that show whether something else is seen behind the surface; fewer
    show nothing. Chosen: a share of them is known to 0.1."""
    plane: PointPlaneConfig = PointPlaneConfig()
    """How they are found, and the bound of the depth noise."""


@dataclass(frozen=True)
class JointSearchConfig:
    """The search over joint positions, for joints that gradients do not find again."""

    positions: int = 13
    """Positions of each joint that are tried, evenly over its range. Chosen."""
    max_gap: float = 1.0
    """Time without a frame after which joints are searched, s. Chosen."""
    min_growth: float = 0.3
    """Growth of the score from which on every n-th frame is searched; inf turns it off.
    Chosen."""
    every: int = 6
    """The n of ``min_growth``, frames. Chosen: a search takes as long as several fits."""
    always_growth: float = 1.0
    """Growth of the score from which on every frame is searched; inf turns it off. Chosen: as
    :attr:`QualityConfig.lost_growth`, so that no object is lost without a search."""


@dataclass(frozen=True)
class MotionConfig:
    """The motion models: a base that stands still, and one with constant velocity."""

    max_prediction: float = 0.3
    """Time for which a velocity is extrapolated, s. Chosen."""
    min_gap: float = 1 / 30
    """Least time between frames that the uncertainty of a prediction assumes, s. Chosen: the
    period of usual depth cameras."""
    translation_std: float = 0.15
    """Standard deviation of a moving base's predicted translation, for each second. Chosen."""
    rotation_std: float = 0.3
    """Standard deviation of a moving base's predicted rotation, rad for each second. Chosen."""
    joint_std: float = 3.0
    """Standard deviation of predicted joint positions, rad or canonical units for each second.
    Chosen: joints move faster than their base."""
    still_translation_std: float = 0.01
    """As ``translation_std``, of a base that stands still. Chosen."""
    still_rotation_std: float = 0.02
    """As ``rotation_std``, of a base that stands still. Chosen."""
    moving_score_ratio: float = 0.97
    """A base starts to move if its score with motion is below this share of the score without;
    inf lets every base move. Chosen."""
    still_speed: float = 0.03
    """Speed below which a base may stand still again, canonical units a second. Chosen."""
    still_turn_rate: float = 0.06
    """Turn rate below which a base may stand still again, rad a second. Chosen."""
    smoothing_time: float = 0.25
    """Time constant of the velocity's low-pass filter, s. Chosen."""


@dataclass(frozen=True)
class JointLimitConfig:
    """How the lower limits of sliding joints are learned.

    One view of an open drawer does not show well where the drawer is closed.
    """

    learning_rate: float = 0.5
    """Share by which a limit moves to a position that is observed beyond it; 0 turns it off.
    Chosen."""
    max_std: float = 0.1
    """Standard deviation of a joint position up to which limits learn from it. Chosen."""
    merge_share: float = 0.5
    """Share by which a limit moves to that of another full estimate; 0 turns it off. Chosen."""
    merge_bounded: bool = True
    """Whether this move may not exclude positions at which the joint has been observed."""
    described_change: float = 0.005
    """Shift of a joint's origin after which the object's description changes, m. Chosen."""


@dataclass(frozen=True)
class QualityConfig:
    """When a tracked object is uncertain, and when it is lost.

    The growth of the score is 0 at the best score so far and 1 at ``growth_ratio`` times that
    score plus ``growth_offset``.
    """

    max_rotation: float = math.radians(50.0)
    """Largest rotation of the base between two frames, rad. Chosen."""
    max_translation: float = 0.6
    """Largest translation of the base between two frames. Chosen."""
    max_revolute: float = math.radians(60.0)
    """Largest motion of a revolute joint between two frames, rad. Chosen."""
    max_prismatic: float = 0.4
    """Largest motion of a sliding joint between two frames. Chosen."""
    first_score_ratio: float = 2.0
    """Upper bound of the first score, as a multiple of the full estimate's residual. Chosen."""
    growth_ratio: float = 2.2
    """See the class. Chosen."""
    growth_offset: float = 0.012
    """See the class. Chosen."""
    uncertain_growth: float = 0.5
    """Growth of the score from which on an object is uncertain; inf turns it off. Chosen."""
    lost_growth: float = 1.0
    """Growth of the score from which on an object is lost; inf turns it off. Chosen."""
    usual_seen_through: float = 0.2
    """Share of the predicted surface behind which an image without a mask shows something else,
    before frames have been tracked. Chosen: 0 to 0.4 on simulated tables, by the shape's error."""
    seen_through_growth: float = 0.35
    """An object is lost if the share is larger than its low-pass filter by more than this; 1 turns
    it off. Chosen: a stapler that was taken from a table is found in half of its points, those of
    the table where its plate was, and the share is 0.5 to 0.9."""
    missing_growth: float = 0.15
    """Joint positions are searched if the share of the surface that an image without a mask does
    not show is larger than its low-pass filter by more than this; 1 turns it off. Chosen,
    and ablated by ``evaluation.joint_jumps``, as is the next one."""
    area_loss: float = 0.25
    """Joint positions are searched if the area that is seen of the object is smaller than its
    low-pass filter by more than this share; 1 turns it off. Chosen."""
    evidence_smoothing: float = 0.3
    """Weight of a frame in the low-pass filters of these shares and of the area. Chosen."""


@dataclass(frozen=True)
class ReinitializationConfig:
    """When a tracked object gets another full estimate, and when that one replaces the track."""

    min_interval: float = 2.0
    """First interval between two full estimates, s. It doubles with each full estimate that
    does not explain the next frame better. Chosen."""
    max_interval: float = 24.0
    """Largest interval, s. Chosen."""
    better_score_ratio: float = 0.95
    """A full estimate replaces the track if its score is at most this share of the track's.
    Chosen."""
    view_angle: float = math.radians(30.0)
    """Change of the direction from the object to the camera that makes another view, rad.
    Chosen."""
    view_revolute: float = 0.25
    """Motion of a revolute joint that makes another view, share of its range. Chosen."""
    view_prismatic: float = 0.12
    """Motion of a sliding joint that makes another view, share of its range. Chosen."""


@dataclass(frozen=True)
class TrackingConfig:
    """All thresholds of tracking, by subject."""

    sdf_grid: SdfGridConfig = SdfGridConfig()
    fit: FitConfig = FitConfig()
    crop: CropConfig = CropConfig()
    joint_search: JointSearchConfig = JointSearchConfig()
    motion: MotionConfig = MotionConfig()
    joint_limits: JointLimitConfig = JointLimitConfig()
    quality: QualityConfig = QualityConfig()
    reinitialization: ReinitializationConfig = ReinitializationConfig()


DEFAULT = TrackingConfig()
"""The configuration of the shipped trackers."""
