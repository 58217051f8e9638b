"""Markets on the same days, misreports in them, and what a household earns."""

from __future__ import annotations

import pytest
import torch

from baselines.greedy import PriceGreedy
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import rollout
from totalflex_env.evaluation.books import PARTIES, statements
from totalflex_env.evaluation.exploitability import MISREPORTS, exploitability
from totalflex_env.evaluation.incentive import COMFORTS, device_income, set_comfort
from totalflex_env.evaluation.manipulation import inc_dec
from totalflex_env.evaluation.parties import PARTIES as BALANCE_RESPONSIBLE
from totalflex_env.evaluation.parties import adjusted
from totalflex_env.evaluation.regimes import BLIND, DEFAULT, MARKET, PRICE_ONLY, Regime, compare, policies
from totalflex_env.market.settlement import book
from totalflex_env.units import to_mwh_integer

SEEDS = [9000, 9001]


@pytest.fixture(scope="module")
def village() -> World:
    return build(load(EnvConfig, "village", "env", ["--scenario.split=test"]))


@pytest.fixture(scope="module")
def regimes(village: World) -> dict[str, Regime]:
    return compare(village, SEEDS, policies(PriceGreedy()))


def test_price_alone_overloads_the_transformer_and_the_flexibility_market_does_not(regimes: dict[str, Regime]) -> None:
    """The founding claim, on days of the test weeks."""
    assert float(regimes[PRICE_ONLY].transformer.max(axis=1).min()) > 1.2
    assert float(regimes[BLIND].transformer.max()) > 1.2
    assert float(regimes[MARKET].transformer.max()) < 1.005
    cost = {name: float(one.results.cost_eur.mean()) for name, one in regimes.items()}
    assert cost[MARKET] < cost[DEFAULT] < cost[PRICE_ONLY]


def test_flows_are_the_ledger(regimes: dict[str, Regime]) -> None:
    """What the roles receive is what flows to them less what flows from them, and less the harm to the grid."""
    for one in regimes.values():
        got = dict.fromkeys(("house", "aggregator", "BRP", "DSO", "world"), 0.0)
        for purpose, amount in one.flows_eur.items():
            payer, payee = PARTIES[purpose]
            got[payer] -= amount
            got[payee] += amount
        causes, money = one.results.causes_eur.mean(axis=0), one.results.money_eur.mean(axis=0)
        assert got["BRP"] == pytest.approx(money[2], abs=1e-3)
        assert got["aggregator"] == pytest.approx(money[1], abs=1e-3)
        assert got["DSO"] - causes[2] - causes[3] == pytest.approx(money[3], abs=1e-3)


def test_houses_sell_flexibility_only_where_there_is_a_market(regimes: dict[str, Regime]) -> None:
    flows = {name: one.flows_eur for name, one in regimes.items()}
    assert flows[DEFAULT]["shared"] == flows[PRICE_ONLY]["shared"] == 0.0
    assert flows[MARKET]["shared"] < 0.0  # booked from house to aggregator: the house receives
    assert flows[BLIND]["grid"] == 0.0 and flows[MARKET]["grid"] != 0.0


def test_phantom_load_pays_only_where_a_house_nominates_its_own_base(
    village: World, regimes: dict[str, Regime]
) -> None:
    market = regimes[MARKET]
    room = to_mwh_integer(torch.as_tensor(market.headroom_kwh).flatten(0, 1))
    assert inc_dec(village.params, market.statement, room, len(SEEDS)).gain_eur > 0.0
    assert inc_dec(village.params, market.statement, 0 * room, len(SEEDS)).gain_eur == 0.0


def test_misreports_hardly_pay_one_house_and_the_truth_is_among_them(village: World) -> None:
    gains = exploitability(village, SEEDS[:1], ScriptedPolicy(), 2)
    assert MISREPORTS[0] == (0.0, 1.0)
    assert [gain.houses for gain in gains] == sorted(gain.houses for gain in gains)
    assert all(gain.mean_eur >= 0.0 for gain in gains)
    assert gains[0].mean_eur < 0.05 * gains[0].surplus_eur


def test_the_income_of_devices_adds_up_to_what_the_ledger_books_to_their_houses(village: World) -> None:
    params, policy = village.params, ScriptedPolicy()
    episode = nominate(params, draw(village, SEEDS[:1]), policy)
    trace = rollout(params, episode, policy)
    booked = -book(params, statements(params, episode, trace)).shared.double() / 1e6
    income = torch.zeros(96, len(params.node), dtype=torch.float64)
    income = income.index_add(1, params.house, device_income(params, trace)[0])
    torch.testing.assert_close(income, booked, rtol=0.0, atol=3e-6)


def test_comfort_reaches_the_devices() -> None:
    config = load(EnvConfig, "street", "env")
    careful, usual, generous = (set_comfort(config, comfort) for comfort in COMFORTS)
    assert careful.devices.heat_pump.band_k < usual.devices.heat_pump.band_k < generous.devices.heat_pump.band_k
    assert careful.devices.ev.departure_last_hour < generous.devices.ev.departure_first_hour + 2.0
    assert usual.devices.ev == config.devices.ev and usual.devices.heat_pump == config.devices.heat_pump
    assert usual.scenario.months == tuple(range(1, 13))


def test_adjusted_positions_leave_suppliers_whole_and_the_sum_as_it_is(
    village: World, regimes: dict[str, Regime]
) -> None:
    market = regimes[MARKET]
    found = adjusted(village.params, market.statement, len(SEEDS))
    bought, corrected = found[:3], found[3:]
    assert [one.party for one in bought] == [one.party for one in corrected] == list(BALANCE_RESPONSIBLE)
    assert all(one.imbalance_kwh > 1.0 and abs(one.account_eur) > 0.01 for one in bought)
    assert all(one.imbalance_kwh == 0.0 and abs(one.account_eur) < 1e-3 for one in corrected[:2])
    total = market.results.money_eur[:, 2].mean()
    for rule in (bought, corrected):
        assert sum(one.account_eur for one in rule) == pytest.approx(total, abs=1e-3)
