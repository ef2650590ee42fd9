"""The plane that most points are on, by RANSAC (Fischler and Bolles 1981)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAD_TO_STD = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


@dataclass(frozen=True)
class DominantPlaneConfig:
    """How a plane is found among points."""

    noise: tuple[float, float] = (0.004, 0.003)
    """Bound of the depth noise: a + b z^2, m, for depth z, m. Chosen: the noise of a stereo or
    structured-light camera grows with z^2."""
    samples: int = 500
    """Points that vote. Chosen."""
    trials: int = 48
    """Planes that are tried. Chosen: with half of the votes on it, one is found in 99.8 %."""
    least_points: int = 100
    """Fewest points that a plane is sought in. Chosen."""
    share: float = 0.2
    """Least share of the votes on a plane. Chosen."""

    def noise_bound(self, depth: np.ndarray) -> np.ndarray:
        """Bound of the noise, m, at depths, m."""
        constant, quadratic = self.noise
        bound: np.ndarray = constant + quadratic * depth ** 2
        return bound


CONFIG = DominantPlaneConfig()


def plane_distances(points: np.ndarray, voters: np.ndarray, rng: np.random.Generator,
                    config: DominantPlaneConfig = CONFIG) -> np.ndarray | None:
    """Distances (N,), m, of points (N, 3) from the plane that most voters (V, 3) are on.

    None if there are too few voters, or too few of them are on one plane.
    """
    if len(voters) < config.least_points:
        return None
    votes = voters[rng.integers(0, len(voters), config.samples)]
    noise = config.noise_bound(votes[:, 2])
    a, b, c = (votes[rng.integers(0, len(votes), config.trials)] for _ in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    good = length > 0
    if not good.any():
        return None
    normal = normal[good] / length[good, None]
    counts = (np.abs(votes @ normal.T - (normal * a[good]).sum(1)) < noise[:, None]).sum(0)
    best = int(counts.argmax())
    if counts[best] < config.share * len(votes):
        return None
    on = votes[np.abs((votes - a[good][best]) @ normal[best]) < noise]
    middle = on.mean(0)
    direction = np.linalg.eigh(np.cov((on - middle).T))[1][:, 0].astype(np.float32)
    return np.asarray(np.abs((points - middle) @ direction))
