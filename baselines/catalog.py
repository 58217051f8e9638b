"""Baselines by name."""

from __future__ import annotations

from collections.abc import Callable

from baselines.default_schedule import DefaultSchedule
from baselines.flex_offers import FlexOfferPipeline
from baselines.greedy import PriceGreedy
from baselines.timer import Timer
from totalflex_env.errors import ConfigError, MissingExtraError
from totalflex_env.types import Episode, Params, Policy

MUTATIONS = 20
"""Of a schedule of flex-offers that evolves."""

SOLVER_LIBRARIES = ("linopy", "highspy", "scipy", "xarray")

try:
    from baselines import foresight as _foresight
    from baselines.rolling import RollingMilp

    _missing = ""
except ModuleNotFoundError as error:  # the solver is an extra; all other baselines work without it
    if error.name not in SOLVER_LIBRARIES:
        raise
    _missing = error.name


def _rolling_milp() -> Policy:
    _need_solver()
    return RollingMilp()


def _flex_offers_evolved() -> Policy:
    return FlexOfferPipeline(MUTATIONS)


POLICIES: dict[str, Callable[[], Policy]] = {
    "default_schedule": DefaultSchedule,
    "price_greedy": PriceGreedy,
    "timer": Timer,
    "flex_offers": FlexOfferPipeline,
    "flex_offers_evolved": _flex_offers_evolved,
    "rolling_milp": _rolling_milp,
}


def make(name: str, file: str = "baselines") -> Policy:
    """Return a new policy; `file` is where the name was written, for the error message."""
    if name not in POLICIES:
        raise ConfigError(file, "policy", name, f"one of {', '.join(POLICIES)}")
    return POLICIES[name]()


def foresight(params: Params, episode: Episode) -> _foresight.ForesightPlan:
    """Return the cheapest plans for all rows of `episode`, known in advance, with their replay and a bound."""
    _need_solver()
    return _foresight.foresight(params, episode)


def _need_solver() -> None:
    if _missing:
        raise MissingExtraError(_missing, "milp")
