"""The last word before a command leaves: any doubt means the default schedule, with a reason on record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.devices.family import Range
from totalflex_env.engine.scripted import untraded
from totalflex_env.types import Action, Situation


class Reason(StrEnum):
    """Why something was not done as it was decided."""

    POLICY = "the policy's action is not finite"
    NOT_FINITE = "the set-point is not finite"
    OUTSIDE = "the set-point is outside the feasible range"
    NOT_TRUSTED = "the telemetry is not trusted"
    REFUSED = "the device refused the command"
    NOT_APPLIED = "the device followed its own controller"
    DEVIATED = "the device metered something else than the set-point"


@dataclass(frozen=True)
class Note:
    """One entry of the record."""

    slot: int
    device: str
    reason: Reason
    detail: str = ""


def sound(action: Action) -> bool:
    """Return whether all numbers of an action are finite."""
    return all(bool(value.isfinite().all()) for value in vars(action).values() if isinstance(value, Tensor))


def default(situation: Situation) -> Action:
    """Return the action that leaves every device to its own controller."""
    return untraded(situation, situation.default)


def within(situation: Situation, energy: Tensor, trusted: Tensor) -> tuple[Tensor, dict[int, Reason]]:
    """Return set-points [1, N] kWh inside the limits that keep later slots feasible, and why some were changed.

    Devices that are not `trusted` [N] bool, and set-points that are no numbers, get the default.
    """
    finite = torch.isfinite(energy)
    wanted = torch.where(finite & trusted, energy, situation.default)
    allowed = Range(situation.lower, situation.upper, situation.default)
    given = fleet.snap(situation.params, wanted, allowed)
    reasons: dict[int, Reason] = {}
    for device in range(energy.shape[1]):
        if not trusted[device]:
            reasons[device] = Reason.NOT_TRUSTED
        elif not finite[0, device]:
            reasons[device] = Reason.NOT_FINITE
        elif given[0, device] != energy[0, device]:
            reasons[device] = Reason.OUTSIDE
    return given, reasons
