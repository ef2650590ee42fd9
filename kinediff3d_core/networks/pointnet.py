"""Point cloud encoders: PointNet (Phi of eq. 1) and PointNet++ tokens (Gamma of section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kinediff3d_core.kernels.triton import TRITON


class PointNet(nn.Module):
    """Shared MLP and max-pool (Qi et al. 2017).

    ``forward``: points and features (..., N, C) to (..., D).
    """

    def __init__(self, in_features: int, widths: tuple[int, ...] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in zip((in_features, *widths[:-1]), widths, strict=True):
            layers += [nn.Linear(a, b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x).amax(dim=-2)
        return out


def farthest_points(p: Tensor, n: int) -> Tensor:
    """Indices (B, n) of farthest point sampling on p (B, N, 3), starting at point 0."""
    if p.is_cuda and TRITON:
        from kinediff3d_core.kernels import farthest_points

        return farthest_points.farthest_points(p, n)
    index = torch.zeros(p.shape[0], n, dtype=torch.long, device=p.device)
    distance = torch.full(p.shape[:2], torch.inf, device=p.device)
    rows = torch.arange(p.shape[0], device=p.device)
    for i in range(1, n):
        last = p[rows, index[:, i - 1]]
        distance = torch.minimum(distance, (p - last[:, None]).square().sum(-1))
        index[:, i] = distance.argmax(1)
    return index


def gather_rows(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x (B, N, C) at index (B, ...), shape (B, ..., C)."""
    flat = index.flatten(1)
    out = x.gather(1, flat[..., None].expand(-1, -1, x.shape[-1]))
    return out.view(*index.shape, x.shape[-1])


class PointTokens(nn.Module):
    """A set-abstraction layer (PointNet++) followed by self-attention over its tokens.

    ``forward``: positions p (B, N, 3) and features f (B, N, C) to tokens (B, T, width).
    Centres come from farthest point sampling; each is described by its nearest neighbours.
    """

    def __init__(self, in_features: int, width: int = 128, tokens: int = 48, neighbours: int = 16,
                 layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.tokens, self.neighbours = tokens, neighbours
        self.local = PointNet(3 + in_features, (64, width))
        self.place = nn.Linear(3 + in_features, width)
        self.blocks = nn.ModuleList([AttentionBlock(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, p: Tensor, f: Tensor) -> Tensor:
        with torch.no_grad():
            centre_index = farthest_points(p, self.tokens)
            centre = gather_rows(p, centre_index)
            near = torch.cdist(centre, p).topk(self.neighbours, dim=-1, largest=False,
                                               sorted=False).indices
        group = torch.cat([(gather_rows(p, near) - centre[:, :, None]) * 4.0,
                           gather_rows(f, near)], dim=-1)
        own = torch.cat([centre, gather_rows(f, centre_index)], dim=-1)
        x = self.local(group) + self.place(own)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out


class AttentionBlock(nn.Module):
    """Pre-norm attention and MLP. Keys and values come from ``context`` (B, M, width) if given."""

    def __init__(self, width: int, heads: int, expansion: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(approximate='tanh'),
                                 nn.Linear(expansion * width, width))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        y = self.norm_query(x)
        source = y if context is None else context
        B, T, W = x.shape

        def split(z: Tensor) -> Tensor:
            return z.view(B, -1, self.heads, W // self.heads).transpose(1, 2)

        k, v = self.key_value(source).chunk(2, dim=-1)
        y = nn.functional.scaled_dot_product_attention(split(self.query(y)), split(k), split(v))
        x = x + self.out(y.transpose(1, 2).reshape(B, T, W))
        out: Tensor = x + self.mlp(self.norm_mlp(x))
        return out


def sinusoidal_embedding(x: Tensor, width: int, scale: float = 1000.0) -> Tensor:
    """Fourier features (..., width) of a scalar x (...)."""
    half = width // 2
    frequency = torch.exp(torch.linspace(0, -torch.log(torch.tensor(scale)).item(), half,
                                         device=x.device)) * scale ** 0.5
    angle = x[..., None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
