"""A shape whose distances are known exactly: one sphere a part, in place of the network."""

from dataclasses import fields, replace

import torch

from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import get_category

RADIUS = 0.2
CENTRES = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.1, 0.0]])
"""(K, 3) in part frames, of a code of zeros."""


class SphereShape:
    """A laptop of two spheres; a code (H, 3) shifts the centre of the base's sphere."""

    category = get_category('laptop')
    parts = 2

    def query(self, field, points):
        return (points - field.centre[:, :, None]).norm(dim=-1) - RADIUS

    def nearest(self, field, points):
        distance, part = self.query(field, points).min(dim=1)
        offset = points - field.centre[:, :, None]
        gradient = offset / offset.norm(dim=-1, keepdim=True)
        index = part[:, None, :, None].expand(-1, 1, -1, 3)
        return distance, gradient.gather(1, index)[:, 0], part

    def layout_derivative(self, z, q):
        derivative = torch.zeros(len(z), 15, 3, dtype=z.dtype)
        derivative[:, :3] = torch.eye(3, dtype=z.dtype)
        return derivative

    def with_layout(self, field, z, q):
        centre = field.centre.clone()
        centre[:, 0] = CENTRES[0].to(z) + z
        return replace(field, centre=centre)


def sphere_field(h=1, dtype=torch.float32):
    """Field of ``h`` objects with codes of zeros."""
    empty = torch.zeros(h, 0, dtype=dtype)
    origin = torch.tensor([[-0.4, 0.0, 0.1]], dtype=dtype).expand(h, 1, 3)
    return Field(CENTRES.to(dtype).expand(h, 2, 3), torch.full((h, 2, 3), RADIUS, dtype=dtype),
                 empty, empty, empty, origin, torch.full((h, 2), torch.inf, dtype=dtype))


def sphere_state(h=1, dtype=torch.float32):
    """The object two units in front of the camera, turned a little, half open."""
    T = torch.eye(4, dtype=dtype).repeat(h, 1, 1)
    c, s = torch.tensor(0.3, dtype=dtype).cos(), torch.tensor(0.3, dtype=dtype).sin()
    T[:, 0, 0], T[:, 0, 2], T[:, 2, 0], T[:, 2, 2] = c, s, -s, c
    T[:, 2, 3] = 2.0
    axis = torch.tensor(SphereShape.category.joints[0].axis, dtype=dtype).expand(h, 1, 3)
    return State(T, torch.full((h, 1), 1.2, dtype=dtype), sphere_field(h, dtype).origin, axis)


def unit_directions(n, generator):
    """(n, 3) random points on the unit sphere."""
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)


def in_double(value):
    """A dataclass of tensors with all of them in double precision."""
    return type(value)(*(getattr(value, f.name).double() for f in fields(value)))
