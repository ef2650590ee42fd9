"""Depth cameras that people use: how their noise and their depth step grow with range.

A camera that triangulates measures disparities, in steps of a fraction of a pixel. Its depth step
and its noise therefore grow with the squared depth: dz = z^2 / (f b) dd, where f is the focal
length in pixels, b the baseline and dd the error of the disparity in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-9
"""Smaller divisors count as this one, so that no division is by zero."""


@dataclass(frozen=True)
class DepthCamera:
    """What the errors of one depth camera depend on."""

    name: str
    noise: float
    """Standard deviation of the range noise at 0 m, m."""
    noise_per_m2: float
    """What is added to it for each square metre of the squared depth, 1/m."""
    quantum: float
    """Depth step of its images, m."""
    step_per_m2: float
    """Depth step that its disparities make at 1 m, m; it grows with the squared depth. 0: it
    measures no disparities."""
    baseline: float
    """From the imager to what illuminates the scene or to the second imager, along the image's x
    axis, m. Surfaces that only the imager sees have no depth. 0: no such shadows."""


KINECT_V1 = DepthCamera('kinect_v1', 0.0, 0.0014, 0.001, 0.00285, 0.075)
"""Khoshelham and Elberink, "Accuracy and Resolution of Kinect Depth Data" (Sensors, 2012): noise
1.4e-3 z^2, step 2.85e-3 z^2, baseline 7.5 cm."""
XTION = DepthCamera('xtion', 0.0, 0.0014, 0.001, 0.0029, -0.075)
"""The same measuring chip as Kinect v1 (PS1080): 1/8 pixel at f = 570 pixels and 7.5 cm. The sign
of the baseline is chosen, so that shadows on both sides occur."""
D415 = DepthCamera('d415', 0.0, 0.0016, 0.001, 0.0006, -0.055)
"""Intel, "Tuning depth cameras for best performance": error 0.08 pixel; "Subpixel linearity":
steps of 1/32 pixel. f = 925 pixels at 1280x720, baseline 5.5 cm."""
D435 = DepthCamera('d435', 0.0, 0.0038, 0.001, 0.0015, -0.05)
"""The same sources; f = 421 pixels at 848x480, baseline 5 cm."""
AZURE_KINECT = DepthCamera('azure_kinect', 0.001, 0.0003, 0.001, 0.0, 0.0)
"""Time of flight: the light comes from beside the imager. Noise: chosen, of the order of 1 to 2 mm
at 1 to 2 m."""
DEPTH_CAMERAS = (KINECT_V1, XTION, D415, D435, AZURE_KINECT)


@dataclass(frozen=True)
class CameraDraw:
    """Cameras of B images: the fields of :class:`DepthCamera` as tensors (B, 1, 1), units the
    same."""

    noise: Tensor
    noise_per_m2: Tensor
    quantum: Tensor
    step_per_m2: Tensor
    baseline: Tensor


def draw_cameras(cameras: tuple[DepthCamera, ...], n: int, generator: torch.Generator,
                 ) -> CameraDraw:
    """One of the cameras for each of n images, all equally likely; on the generator's device."""
    pick = torch.randint(len(cameras), (n,), generator=generator, device=generator.device)
    table = torch.tensor([[c.noise, c.noise_per_m2, c.quantum, c.step_per_m2, c.baseline]
                          for c in cameras], device=generator.device)
    return CameraDraw(*table[pick].T[:, :, None, None])


def quantize(depth: Tensor, camera: CameraDraw) -> Tensor:
    """Depth (B, H, W), m, in the camera's steps of the disparity and of its images; 0 stays 0."""
    step, quantum = camera.step_per_m2, camera.quantum
    coarse = torch.round(1 / depth.clamp_min(TINY) / step.clamp_min(TINY)) * step
    depth = torch.where((step > 0) & (coarse > 0), 1 / coarse.clamp_min(TINY), depth) * (depth > 0)
    return torch.where(quantum > 0, torch.round(depth / quantum.clamp_min(TINY)) * quantum, depth)
