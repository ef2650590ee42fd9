"""What the demo runs: its scene, its camera and its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.category import Category
from kinediff3d_ros.scene.parameters import CameraSimParameters

SCENE = CameraSimParameters(instance=1, table=True, rate=5.0)
"""Parameters of the demo's simulated camera."""

INTRINSICS = Intrinsics(SCENE.focal_length, SCENE.focal_length, (SCENE.width - 1) / 2,
                        (SCENE.height - 1) / 2, SCENE.width, SCENE.height)


@dataclass(frozen=True)
class DemoOptions:
    """Options of ``kinediff3d demo``.

    Attributes:
        category: of the object.
        seconds: for how long estimates are recorded.
        rate: of the camera, Hz.
        headless: do not print how to start RViz.
        out: folder for the results.

    Raises:
        ValueError: ``seconds`` or ``rate`` is out of range.
    """

    category: Category
    seconds: float
    rate: float
    headless: bool
    out: Path

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f'--seconds must be positive, got {self.seconds:g}')
        if not 0.1 <= self.rate <= 60:
            raise ValueError(f'--rate must be in 0.1..60 Hz, got {self.rate:g}')

    @property
    def command(self) -> str:
        """The command line that runs the same demo."""
        rate = '' if self.rate == SCENE.rate else f' --rate {self.rate:g}'
        return f'kinediff3d demo --category {self.category.name} --seconds {self.seconds:g}{rate}'
