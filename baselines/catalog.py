"""Baselines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from baselines.default_schedule import DefaultSchedule
from baselines.flex_offers import FlexOfferPipeline
from baselines.greedy import PriceGreedy
from baselines.timer import Timer
from totalflex_env.errors import ConfigError, MissingExtraError
from totalflex_env.types import Episode, Params, Policy

MUTATIONS = 20
"""Of a schedule of flex-offers that evolves."""

ROLLING = "rolling_milp"

SOLVER_LIBRARIES = ("linopy", "highspy", "scipy", "xarray")

try:
    from baselines import foresight as _foresight
    from baselines import rolling as _rolling
    from baselines.solver import SolverName

    _missing = ""
except ModuleNotFoundError as error:  # the solver is an extra; all other baselines work without it
    if error.name not in SOLVER_LIBRARIES:
        raise
    _missing = error.name


def _rolling_milp(solver: SolverName = "highs") -> Policy:
    _need_solver()
    return _rolling.RollingMilp(replace(_rolling.EFFORT, solver=solver))


def _flex_offers_evolved() -> Policy:
    return FlexOfferPipeline(MUTATIONS)


POLICIES: dict[str, Callable[[], Policy]] = {
    "default_schedule": DefaultSchedule,
    "price_greedy": PriceGreedy,
    "timer": Timer,
    "flex_offers": FlexOfferPipeline,
    "flex_offers_evolved": _flex_offers_evolved,
    ROLLING: _rolling_milp,
}
PLANNERS = {"flex_offers", "flex_offers_evolved", ROLLING}
"""Those that plan a day ahead, again and again, which takes them seconds to minutes a day."""


def make(name: str, file: str = "baselines", solver: SolverName = "highs") -> Policy:
    """Return a new policy; `file` is where the name was written, for the error message.

    `solver` is that of the policies that optimise.
    """
    if name not in POLICIES:
        raise ConfigError(file, "policy", name, f"one of {', '.join(POLICIES)}")
    return _rolling_milp(solver) if name == ROLLING else POLICIES[name]()


def foresight(params: Params, episode: Episode, solver: SolverName = "highs") -> _foresight.ForesightPlan:
    """Return the cheapest plans for all rows of `episode`, known in advance, with their replay and a bound."""
    _need_solver()
    return _foresight.foresight(params, episode, replace(_foresight.EFFORT, solver=solver))


def _need_solver() -> None:
    if _missing:
        raise MissingExtraError(_missing, "milp")
