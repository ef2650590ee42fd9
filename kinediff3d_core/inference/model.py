"""The trained networks of one category on one device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.inference.cuda_graphs import Graphs
from kinediff3d_core.networks.checkpoints import (
    CovarianceScale,
    load_covariance_scale,
    load_network,
)
from kinediff3d_core.networks.kavae import KAVAE
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import Category


@dataclass(frozen=True)
class CategoryModel:
    """The three networks of one category, and values that are derived from them.

    Attributes:
        category: its parts and joints.
        device: where the networks are.
        shape, pose, latent: KA-VAE, score model, latent denoiser.
        covariance_scale: (6 + J,) factors of standard deviations.
        units: (J,) rad or m of one unit of a joint's position.
        code_sqrt: (D_z, D_z) square root of the covariance of a code given one view.
        graphs: calls functions, on a GPU by CUDA graphs; for several threads.
    """

    category: Category
    device: torch.device
    shape: KAVAE
    pose: ScoreModel
    latent: LatentDenoiser
    covariance_scale: Tensor
    units: Tensor
    code_sqrt: Tensor
    graphs: Graphs

    @classmethod
    def load(cls, category: Category, device: torch.device, weights: Path | None = None,
             ) -> CategoryModel:
        """The model of a category from a folder of weights; None takes the shipped ones.

        Raises:
            ValueError: weights that do not load; the message names the file.
        """
        name = category.name
        return cls.of(cast(KAVAE, load_network('shape', name, weights, device)),
                      cast(ScoreModel, load_network('pose', name, weights, device)),
                      cast(LatentDenoiser, load_network('latent', name, weights, device)),
                      load_covariance_scale(name, weights), device)

    @classmethod
    @torch.no_grad()
    def of(cls, shape: KAVAE, pose: ScoreModel, latent: LatentDenoiser,
           covariance_scale: CovarianceScale, device: torch.device) -> CategoryModel:
        """The model of three networks that are on a device."""
        category = shape.category
        units = joint_units(category.joints, category.scale).to(device)
        factors = covariance_scale.factors(len(category.joints)).to(device)
        return cls(category, device, shape, pose, latent, factors, units,
                   latent.code_covariance_sqrt(), Graphs(device))
