"""The device that the documentation adds: it is stepped, offered and optimised like the ones of the package."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.catalog import make
from totalflex_env.engine.build import draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout

BATTERY, LIGHTS = 0, [1, 2]


@pytest.fixture(scope="module")
def typed(root: Path) -> dict[str, Any]:
    """What a reader has after typing the page."""
    names: dict[str, Any] = {"__name__": "added"}
    page = (root / "docs" / "add_a_device.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(compile(block, "add_a_device.md", "exec", dont_inherit=True), names)
    return names


def test_it_stands_in_the_world_under_its_name(typed: dict[str, Any]) -> None:
    params = typed["world"].params
    assert params.kinds == ("battery", "street-light", "street-light")
    assert isinstance(params.families[1], typed["Lights"])
    assert params.house.tolist() == [0, 0, 1]


def test_left_alone_it_shines_and_dimmed_it_costs_what_was_said(typed: dict[str, Any]) -> None:
    """Light is worth 0.25 EUR/kWh, so that it is dimmed at 0.30 and 0.40, but not at 0.10 and 0.20 EUR/kWh."""
    world = typed["world"]
    episode = nominate(world.params, draw(world, [0]), make("default_schedule"))
    default = rollout(world.params, episode, make("default_schedule")).outcomes
    assert default.energy_kwh[0][:, LIGHTS].tolist() == [[0.125, 0.125]] * 4
    assert float(default.costs.discomfort.sum()) == 0.0
    plan = typed["foresight"](world.params, episode)
    assert plan.energy_kwh[0][:, LIGHTS].tolist() == [pytest.approx([e, e]) for e in (0.05, 0.125, 0.125, 0.05)]
    discomfort = plan.trace.outcomes.costs.discomfort[0]
    assert discomfort.tolist() == pytest.approx([2 * 0.075 * 0.25, 0.0, 0.0, 2 * 0.075 * 0.25])
    assert float(plan.cost_eur) == pytest.approx(float(plan.planned_cost_eur), abs=1e-6)


@pytest.mark.parametrize("policy", ["price_greedy", "timer", "flex_offers", "rolling_milp"])
def test_every_baseline_takes_it_along(typed: dict[str, Any], policy: str) -> None:
    world = typed["world"]
    outcomes = rollout(world.params, nominate(world.params, draw(world, [0]), make(policy)), make(policy)).outcomes
    assert bool(outcomes.energy_kwh.isfinite().all())


def test_its_offer_reaches_from_dimmed_to_full_light(typed: dict[str, Any]) -> None:
    world = typed["world"]
    dark = torch.full((1, 4, 2), 0.125, dtype=torch.float64)
    known = typed["situation"](world.params, typed["episode"], typed["state"]).forecast()
    sessions = known.scenario.habits[0]
    forecast = replace(known, scenario=replace(known.scenario, habits=(sessions, typed["Night"](dark))))
    offers = typed["generate"](world.params, forecast, typed["state"])
    lights = [row for row, device in enumerate(offers.device.tolist()) if device in LIGHTS]
    assert torch.allclose(offers.lower[lights], 0.4 * dark[0].T) and torch.equal(offers.upper[lights], dark[0].T)
    assert torch.equal(offers.default[lights], dark[0].T)
