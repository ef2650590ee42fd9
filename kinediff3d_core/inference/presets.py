"""Presets: the amount of work for an estimate, and all thresholds of inference.

A preset is one frozen value: an ablation is ``replace(preset, ...)``, for instance
``replace(preset, sampling=replace(preset.sampling, ddim_start=1.0))``. Lengths are canonical
units (metres / category scale) unless a unit is given. A joint's unit is rad, or a canonical unit
where it slides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kinediff3d_core.observation.face_config import FaceConfig


@dataclass(frozen=True)
class SamplingConfig:
    """Input of the networks, and start of their samplers."""

    network_points: int = 512
    """Points of a cloud that a network receives. As in training."""
    estimate_points: int = 4096
    """Points of the observed cloud that an estimate stores. Chosen."""
    ddim_start: float = 0.3
    """Scale of the noise that DDIM starts from; 1 is the distribution of Z_T. With less noise the
    codes are nearer to the mean: the mean rotation error falls by 0.18 deg (docs/method.md)."""
    initial_latent_steps: int = 4
    """DDIM steps for the codes of the first round, where another sampler is set. Chosen."""


@dataclass(frozen=True)
class HypothesisConfig:
    """Clustering, ranking and selection of hypotheses; prior of the score model's samples."""

    mode_rotation: float = 15.0
    """Hypotheses whose bases differ by more than this are two modes, deg. Chosen."""
    mode_joint: float = 0.25
    """Hypotheses with a joint that differs by more than this are two modes. Chosen."""
    nearby_modes: float = 2.0
    """Samples within this many mode sizes of a hypothesis count for its share of the samples and
    for the covariance. Chosen."""
    max_modes: int = 4
    """Modes that are refined side by side, at most. Chosen."""
    max_score_gap: float = 0.012
    """Modes whose fit scores are worse than the best one's by more than this are dropped.
    Chosen."""
    initial_separation: float = 4.0
    """Least rotation between two hypotheses that are refined, first round, deg. Chosen."""
    separation: float = 1.0
    """Least rotation between two hypotheses that are refined, later rounds, deg. Chosen."""
    joint_per_degree: float = 0.0125
    """Difference of a joint that separates two hypotheses as much as one degree does. Chosen."""
    score_temperature: float = 0.005
    """Difference of fit scores that offsets a sample share e times smaller; 0 ranks by the fit
    alone. Chosen. It decides one view of 104 (docs/method.md)."""
    weight_temperature: float = 0.005
    """Difference of scores that makes a mode's weight e times smaller. Chosen."""
    prior_floor: tuple[float, float, float] = (0.02, 0.04, 0.02)
    """Least standard deviations of the sample prior: translation, rotation (rad), joint. Values
    below ``MIN_PRIOR_STD`` are raised to it. They lower the median rotation error from 0.83 to
    0.71 deg (docs/method.md)."""
    max_residual: float = 0.05
    """Largest mean distance of the cloud to the surface that is still an answer. Chosen."""


MIN_PRIOR_STD = 1e-4
"""Bounds the floor of the prior, so that its covariance can be inverted."""


@dataclass(frozen=True)
class FitScoreConfig:
    """Terms of the fit score, by which hypotheses are compared."""

    clip: float = 0.08
    """Distance at which the terms are clipped. Chosen."""
    surface_weight: float = 0.5
    """Weight of surface where none may be, relative to the observed points' distance.
    Chosen."""


@dataclass(frozen=True)
class SolverConfig:
    """Levenberg-Marquardt refinement of hypotheses."""

    iterations: int = 4
    """Steps."""
    width: float = 0.02
    """Width of the Geman-McClure weights: residuals beyond it lose their influence."""
    point_variance: float = 2e-6
    """Variance of one residual over the number of residuals; sets how much pose and code priors
    count beside the observation. Chosen."""
    free_space_weight: float = 0.5
    """Weight of all intrusions into free space together; that of the observed points is 1.
    Chosen."""
    surface_weight: float = 0.5
    """Weight of all surface samples together. Chosen."""
    surface_scale: float = 0.7
    """Factor of a surface sample's distance before the robust weight. Chosen."""
    initial_damping: float = 1e-3
    """Damping of the first step, as a share of the mean diagonal of the Hessian. Chosen."""
    damping_decrease: float = 0.3
    """Factor of the damping after a step that lowers the cost. Chosen."""
    damping_increase: float = 10.0
    """Factor of the damping after a step that does not. Chosen."""
    min_damping: float = 1e-6
    """Least damping. Chosen."""
    max_damping: float = 1e3
    """Largest damping. Chosen."""
    min_diagonal: float = 1e-9
    """Added to the diagonal for pose and joints, so that the system is regular. Chosen."""
    max_step: float = 0.5
    """Longest step of pose and joints (translation, rad and joint units together). Chosen."""
    max_code_step: float = 1.0
    """Longest step of a code, in standard deviations. Chosen."""
    max_code_offset: float = 4.0
    """Largest offset of each component of a code, in standard deviations. Chosen."""


@dataclass(frozen=True)
class ChamferConfig:
    """First-order refinement by the Chamfer distance (eq. 9)."""

    learning_rate: float = 0.01
    """Learning rate of Adam. Chosen."""
    clip: float = 0.16
    """Distance at which the loss is clipped: larger ones have no gradient. Chosen."""


@dataclass(frozen=True)
class RefinementConfig:
    """Rounds of refinement (section 3.4)."""

    widths: tuple[float, ...] = (0.08, 0.05, 0.03, 0.02)
    """Width of the robust weights by round; the last one holds for further rounds. Chosen."""
    code_rounds: int = 2
    """Last rounds in which the codes are refined with the poses, never the first one. Chosen."""
    final_iterations: int = 2
    """Steps after the last decoding, with the shape held. Chosen."""
    initial_surface: int = 48
    """Surface samples of each part by which hypotheses are compared before the first round.
    Chosen."""
    solver: SolverConfig = SolverConfig()
    """The second-order solver; its iterations and width are set by preset and round."""
    chamfer: ChamferConfig = ChamferConfig()
    """The first-order solver."""


@dataclass(frozen=True)
class UncertaintyConfig:
    """Covariance of an estimate."""

    correlated_points: float = 45.0
    """Shape errors are correlated over the cloud: this many points count as one. Chosen."""
    min_residual: float = 1e-4
    """Added in quadrature to the mean residual. Chosen."""
    min_information: float = 1e-3
    """Added to the diagonal of the information matrix, which may be singular. Chosen."""
    drawn_share: float = 0.1
    """Share of the covariance of the score model's samples that is added to an estimate's
    covariance. It raises the rank correlation of a joint's standard deviation and its error from
    0.18 to 0.32 (docs/method.md)."""


@dataclass(frozen=True)
class ConfidenceConfig:
    """Confidence of an estimate: the probability that it is right."""

    max_translation: float = 0.05
    """Error of a part's position up to which an estimate is right, m. The 5 cm of the
    5 degrees, 5 cm metric."""
    max_rotation: float = math.radians(5.0)
    """Error of a part's rotation up to which an estimate is right, rad. The 5 degrees of the
    5 degrees, 5 cm metric."""
    residual_scale: float = 0.03
    """Mean distance of the cloud to the surface at which the fit's confidence is 1 / e. Chosen."""
    min_confidence: float = 0.3
    """Least confidence of a full estimate that commands and nodes give as an answer. Measured by
    ``python -m kinediff3d_core.evaluation.refusal`` (docs/evaluation.md, Refusal)."""


@dataclass(frozen=True)
class VerificationConfig:
    """What verification leaves of a hypothesis's probability."""

    contradicted: float = 0.6
    """Area of predicted surface that the image contradicts, as a share of the silhouette's, at
    which 1 / e is left. Chosen: right answers have up to 0.15 on real frames and 0.45 where the
    mask leaves out a part of the object, wrong ones mostly more (docs/evaluation.md)."""
    unexplained: float = 0.15
    """Share of the observed points that a shape does not explain at which 1 / e is left. Chosen:
    right answers on real frames leave up to 0.06, many wrong ones 0.2 to 0.5."""
    tolerance: float = 0.02
    """Distance of explained points from the surface, without noise. Chosen: errors of shapes."""
    noise_per_m2: float = 0.005
    """Noise that is added to it, m for each square metre of range: three standard deviations of
    a Kinect's, which is 4 cm at 5 m (Khoshelham and Elberink 2012)."""
    usual_code: float = 1.5
    """Mean squared distance of a code from those of the training objects up to which a shape is
    usual; the mean of those objects is 1. Chosen: right answers on third-party objects have 0.1
    to 0.9, on real frames 0.1 to 1.3 (docs/evaluation.md)."""
    unusual_code: float = 0.7
    """Mean squared distance beyond that at which 1 / e is left. Chosen: objects of another
    category, which have another size, have 2.1 to 3.2 (docs/evaluation.md)."""
    seen: float = 0.04
    """Share of the observed points on the base, and on the moving parts, from which both sides of
    a joint are seen. Chosen: right answers in 60 test views of all categories have 0.034 or more,
    nearly all 0.05; a board read as a chest of drawers 0.02, a carton's face read as a lid 0."""
    doubtful: float = 0.7
    """How much more than ``seen`` is needed, as a share of what is doubtful: points that may be of
    either side, and holes beside the object that may be one. Chosen: a carton's front read as
    lid and wall has 0.09 where 0.22 is doubtful, a laptop whose lid gives no depth 0.09 where 0.29
    is; none of 62 right answers in test views whose confidence was above 0.3 loses more than 0.02
    of it; at 1.0 one loses 0.2 (docs/evaluation.md, Real frames without masks)."""
    enough: float = 0.2
    """A side with this share of the points is seen, whatever is doubtful. Chosen: right answers
    with a doubtful half have 0.22 or more, beside holes around open boxes
    (``evaluation.box_sequence``), wrong ones up to 0.13."""
    across: float = 0.08
    """Motion across a flat face, for a motion of the joint by one unit, from which on the face
    would not stay flat. Chosen: a quarter of a unit, which makes another mode, moves points by
    ``tolerance`` then."""
    unseen: float = 0.4
    """Missing part of that share at which 1 / e is left. Chosen: nothing on one side leaves 0.2 %
    of a hypothesis's probability; 0.5 left a board that is read as a chest of drawers 0.31."""


@dataclass(frozen=True)
class PartSetConfig:
    """Probabilities of the sets of parts that objects of a category may have."""

    uniform: float = 0.5
    """Share of the prior that all sets have alike; the rest is the networks'. Chosen: they are as
    certain of wrong numbers of drawers as of right ones on third-party furniture."""
    likely: float = 0.5
    """Least probability, by the networks, of further sets with which the samples are fitted, as a
    share of the likeliest one's; above 1 there are none. Chosen."""


@dataclass(frozen=True)
class FrontsConfig:
    """States that the fronts of drawers propose, and the agreement with fronts. Lengths in m."""

    faces: FaceConfig = FaceConfig()
    """How faces are found in the cloud."""
    references: int = 1
    """Samples that give what faces do not show; 0 turns proposals off. Chosen."""
    levels: int = 5
    """Observed levels at which drawers may be closed, beside that of the sample. Chosen."""
    level_reach: float = 0.25
    """Farthest distance of these from the sample's. Chosen: poses of samples that take open
    fronts for closed ones are off by up to that."""
    same_level: float = 0.01
    """Levels nearer to each other than this are one. Chosen."""
    stands_out: float = 0.015
    """Distance from that level from which on a face is an open drawer's. Chosen: overlay fronts
    are up to this thick."""
    one_column: float = 0.7
    """Least common share of two faces' widths, or heights, for a closed drawer beside an open
    one. Chosen."""
    open: float = 0.04
    """Distance from the body's front from which on a drawer is open, and fronts and faces are
    compared. Chosen: table tops project over closed drawers."""
    same_front: float = 0.03
    """Largest distance of a face from the front that it shows. Chosen."""
    same_area: float = 0.6
    """Intersection over union from which on a face is the whole front. Chosen: others hide parts
    of a front, and shapes of unusual furniture are rough."""
    measured: float = 0.6
    """What points on a front count, as a share of a face. Measured: docs/method.md, "Fronts of
    drawers"."""
    cells: int = 6
    """Cells of a front along either side in which points are counted. Chosen."""
    handle: float = 0.04
    """How far handles project. Chosen: as in the procedural family."""
    weight: float = 0.01
    """Score of a front without a face, or a face without a front. Chosen: a factor of e^2 of a
    mode's weight."""


@dataclass(frozen=True)
class MeshConfig:
    """Cells of the meshes' grids; see also ``Preset.voxel`` and ``Preset.cells``."""

    cells_per_half: float = 4.0
    """Cells across half of a part, where neither voxel nor number of cells bounds them. Chosen."""
    min_voxel: float = 0.25
    """Smallest cell, as a share of the preset's voxel. Chosen."""
    margin: float = 1.15
    """Half size of the searched box, as a multiple of the part's. Chosen."""


@dataclass(frozen=True)
class Preset:
    """The amount of work for an estimate; the nested values are the thresholds."""

    clouds: int = 4
    """Random choices of points for the score model: a point that is missing in one may be in
    another."""
    hypotheses: int = 24
    """Samples of the score model for each choice of points. The number of samples that are
    decoded is this number plus one."""
    sampler: str = 'fixed'
    """``fixed`` (log-spaced steps) or ``rk45`` (Dormand-Prince at 1e-5)."""
    sampler_steps: int = 14
    """Steps of the fixed sampler."""
    keep: tuple[int, ...] = (6, 4, 3, 2)
    """Hypotheses that are refined, by round; the last number holds for further rounds. More of
    them where more modes explain the view."""
    latent_sampler: str = 'ddim'
    """``ddim`` or ``ancestral``."""
    latent_steps: int = 4
    """Steps of the latent sampler."""
    rounds: int = 4
    """Rounds of pose refinement and regeneration of Z."""
    iterations: int = 4
    """Steps of the refinement in a round."""
    residual: str = 'sdf'
    """``sdf`` (second order) or ``chamfer`` (first order, eq. 9)."""
    points: int = 384
    """Observed points that residuals use."""
    surface: tuple[int, ...] = (96, 96, 256)
    """Surface samples of each part that residuals use, by round; the last number holds for further
    rounds."""
    voxel: float = 0.012
    """Mesh resolution; a quarter of it across thin parts."""
    cells: int = 80
    """Cells along the longest side of a part, at most: large parts have larger cells."""
    dense: bool = False
    """Fill the whole mesh grid instead of refining near the surface."""
    sampling: SamplingConfig = SamplingConfig()
    """Input and start of the samplers."""
    hypothesis: HypothesisConfig = HypothesisConfig()
    """Clustering, ranking, selection and prior of hypotheses."""
    score: FitScoreConfig = FitScoreConfig()
    """The fit score."""
    refinement: RefinementConfig = RefinementConfig()
    """Rounds and solvers."""
    uncertainty: UncertaintyConfig = UncertaintyConfig()
    """Covariance."""
    confidence: ConfidenceConfig = ConfidenceConfig()
    """Confidence."""
    verification: VerificationConfig = VerificationConfig()
    """Verification of the refined hypotheses."""
    part_sets: PartSetConfig = PartSetConfig()
    """Sets of parts."""
    fronts: FrontsConfig = FrontsConfig()
    """Fronts of drawers."""
    mesh: MeshConfig = MeshConfig()
    """Grids of the meshes."""

    def for_initial_codes(self) -> Preset:
        """The preset with a few DDIM steps, whose codes only rank the samples."""
        if self.latent_sampler == 'ddim':
            return self
        return replace(self, latent_sampler='ddim',
                       latent_steps=self.sampling.initial_latent_steps)


PRESETS = {
    'fast': Preset(),
    'paper': Preset(clouds=1, hypotheses=50, sampler='rk45', latent_sampler='ancestral',
                    latent_steps=1000, iterations=40, residual='chamfer', surface=(384,),
                    dense=True),
}
"""Presets by the name that commands take."""
