"""Between the arrays of frameworks and the engine's records: actions in, observations out.

Arrays have the shape [B, agents of the role, numbers]: `prosumer` has one agent per house, `aggregator` as many as
the configuration says, every other role has one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env.engine import observe, roles
from totalflex_env.engine.roles import Controls, Role
from totalflex_env.errors import DataError
from totalflex_env.types import Observation, Rewards

FloatArray = NDArray[np.floating]
Actions = Mapping[Role, FloatArray]

OBSERVATION_LIMIT = 10.0
"""Features are scaled to order one; what lies beyond this is cut, so that spaces are finite."""

FEATURES: dict[Role, tuple[str, ...]] = {
    "prosumer": observe.PROSUMER_FEATURES,
    "aggregator": observe.AGGREGATOR_FEATURES,
    "brp": observe.BRP_FEATURES,
    "dso": observe.DSO_FEATURES,
}
CONTROLS = roles.CONTROLS


def observation_space(role: Role) -> Box:
    """Return what one agent of the role sees: its features, float32."""
    return Box(-OBSERVATION_LIMIT, OBSERVATION_LIMIT, (len(FEATURES[role]),), np.float32)


def action_space(role: Role) -> Box:
    """Return what one agent of the role outputs: its controls in -1..1, float32; `rule` is what its script does."""
    return Box(-1.0, 1.0, (len(CONTROLS[role]),), np.float32)


def rule(role: Role) -> FloatArray:
    """Return the action [controls] float32 with which an agent of the role does what its script does."""
    return np.full(len(CONTROLS[role]), roles.RULE[role], np.float32)


def by_role(record: Controls | Observation | Rewards) -> dict[Role, Tensor]:
    """Return the four fields of a record, each [B, agents of the role, ...]."""
    return {
        "prosumer": record.prosumer,
        "aggregator": record.aggregator,
        "brp": record.brp[:, None],
        "dso": record.dso[:, None],
    }


def tensors(actions: Actions, idle: Controls) -> dict[Role, Tensor]:
    """Return `actions` [B, agents, controls] with the precision and on the device of `idle` [B, ...].

    An array of another shape, and what is no finite number, is a DataError.
    """
    like = by_role(idle)
    for role, values in actions.items():
        _check(role, values, tuple(like[role].shape))
    return {role: torch.as_tensor(values).to(like[role]) for role, values in actions.items()}


def pack(actions: Mapping[Role, Tensor], idle: Controls) -> tuple[Controls, dict[Role, Tensor]]:
    """Return `idle` [B, ...] with the roles in `actions` [B, agents, controls] acting, each number cut to -1..1.

    Beside it how many numbers of each agent [B, agents] were cut.
    """
    within = {role: values.clamp(-1.0, 1.0) for role, values in actions.items()}
    clipped = {role: (within[role] != values).sum(dim=2) for role, values in actions.items()}
    packed = by_role(idle) | within
    controls = Controls(
        prosumer=packed["prosumer"],
        aggregator=packed["aggregator"],
        brp=packed["brp"][:, 0],
        dso=packed["dso"][:, 0],
    )
    return controls, clipped


def unpack(observation: Observation) -> dict[Role, Tensor]:
    """Return the features of every role [B, agents, features], float32, within the bounds of its space."""
    limit = OBSERVATION_LIMIT
    return {role: seen.clamp(-limit, limit).float() for role, seen in by_role(observation).items()}


def flatten(seen: Mapping[Role, Tensor]) -> Tensor:
    """Return what all roles see together [B, numbers]: the view of a central critic."""
    return torch.cat([values.flatten(1) for values in seen.values()], dim=1)


def _check(role: Role, values: FloatArray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise DataError("actions", role, f"an array of shape {values.shape}", f"shape {shape}: rows, agents, controls")
    if not np.isfinite(values).all():
        row, agent, control = np.argwhere(~np.isfinite(values))[0]
        name = CONTROLS[role][control].name
        raise DataError("actions", f"{role}_{agent}.{name}", values[row, agent, control], "a finite number in -1..1")
