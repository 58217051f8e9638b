"""The actor: from what the aggregator sees to its controls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

DEVIATIONS = 3.0
"""Standardised features are cut beyond this, so that a price spike or another odd day cannot throw a policy off."""


class Standardise(nn.Module):
    """Brings each feature to mean zero and deviation one, as on days of the scripted rule, and cuts outliers."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.float())

    def forward(self, features: Tensor) -> Tensor:
        """Return the features [..., F] standardised, within three deviations."""
        return ((features - self.mean) / self.deviation).clamp(-DEVIATIONS, DEVIATIONS)


class Actor(nn.Module):
    """Layers with tanh between them; the output, the controls, is cut to -1..1, and all zeros is the scripted rule."""

    def __init__(self, standardise: Standardise, body: nn.Sequential, head: nn.Linear) -> None:
        super().__init__()
        self.standardise = standardise
        self.body = body
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Return the controls [..., C] for the features [..., F]."""
        controls: Tensor = self.head(self.body(self.standardise(features)))
        return controls.clamp(-1.0, 1.0)

    @property
    def hidden(self) -> tuple[int, ...]:
        """The width of each hidden layer."""
        return tuple(layer.out_features for layer in self.body if isinstance(layer, nn.Linear))


def make_actor(mean: Tensor, deviation: Tensor, hidden: Sequence[int], controls: int) -> Actor:
    """Return an actor for features of that mean and deviation [F]; until weights are loaded it is the scripted rule."""
    widths = [len(mean), *hidden]
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), nn.Tanh()]
    head = nn.Linear(widths[-1], controls)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return Actor(Standardise(mean, deviation), nn.Sequential(*layers), head)
