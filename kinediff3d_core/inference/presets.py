"""How much work an estimate is given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """How much work an estimate is given."""

    clouds: int = 4
    """Choices of points that the score model is given: what one hides another may show."""
    hypotheses: int = 24
    """Samples of the score model for each of them. As many of all those, and one, are decoded."""
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
    """Rounds of pose descent and regeneration of Z."""
    iterations: int = 4
    """Steps of the descent in a round."""
    residual: str = 'sdf'
    """``sdf`` (second order) or ``chamfer`` (first order, eq. 9)."""
    points: int = 384
    """Observed points that residuals use."""
    surface: tuple[int, ...] = (96, 96, 256)
    """Surface samples of each part that residuals use, by round; the last number holds for further
    rounds."""
    voxel: float = 0.012
    """Mesh resolution, canonical; a quarter of it across thin parts."""
    cells: int = 80
    """Cells along the longest side of a part, at most: large parts have larger cells."""
    dense: bool = False
    """Fill the whole mesh grid instead of refining near the surface."""


PRESETS = {
    'fast': Preset(),
    'paper': Preset(clouds=1, hypotheses=50, sampler='rk45', latent_sampler='ancestral',
                    latent_steps=1000, iterations=40, residual='chamfer', surface=(384,),
                    dense=True),
}
