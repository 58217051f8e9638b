"""The day that is solved by hand.

Two houses, slots 0 to 3, spot 0.30, 0.10, 0.20, 0.40 EUR/kWh. House 0: base 0.25 kWh a slot, a vehicle of 4 kW, 1 kWh a
slot, that needs 2 kWh within slots 0 to 3, a dishwasher of 0.50 then 0.25 kWh that starts in slot 0, 1 or 2 at 0.002
EUR a slot of delay. House 1: base 0.50 kWh a slot, 0.25 kWh of solar energy in slots 1 and 2.

Base less solar: 0.75 * 1.00 - 0.25 * (0.10 + 0.20) = 0.675 EUR.
Left alone, the vehicle charges in slots 0 and 1 (0.40), the dishwasher starts in slot 0 (0.15 + 0.025): 1.25 EUR.
At best, the vehicle charges in slots 1 and 2 (0.30), the dishwasher starts in slot 1 (0.05 + 0.05 + 0.002): 1.077 EUR.
"""

from __future__ import annotations

import itertools

import pytest

from totalflex_env import batch, config_files
from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario.sources import make_source


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    return config_files.load(EnvConfig, "tiny", "env")


def test_cheapest_and_default_day_by_brute_force(config: EnvConfig) -> None:
    actual, _ = make_source(config).draw([0])
    sessions, windows = actual.habits
    spot, ev, washer = actual.spot[0].tolist(), config.devices.ev, config.devices.dishwasher
    base = ((actual.base_kwh - actual.pv_kwh)[0].sum(dim=1) * actual.spot[0]).sum().item()
    assert base == pytest.approx(0.675)

    def charging(slots: tuple[int, ...]) -> float:
        return float(sum(spot[slot] * ev.power_kw * 0.25 for slot in slots))

    def washing(start: int) -> float:
        run = float(sum(spot[start + step] * power * 0.25 for step, power in enumerate(washer.programmes_kw[0])))
        return run + washer.delay_price * (start - int(windows.ready))

    full_slots = round(float(sessions.need_kwh) / (ev.power_kw * 0.25))
    there = range(int(sessions.arrival), int(sessions.departure))
    starts = range(int(windows.ready), int(windows.latest) + 1)
    assert (full_slots, there, starts) == (2, range(4), range(3))
    best = min(charging(slots) for slots in itertools.combinations(there, full_slots)) + min(map(washing, starts))
    assert base + charging((0, 1)) + washing(0) == pytest.approx(1.25)
    assert base + best == pytest.approx(1.077)


def test_every_seed_gives_the_same_day_as_expected(config: EnvConfig) -> None:
    actual, expected = make_source(config).draw([3, 8])
    alone, _ = make_source(config).draw([5])
    assert batch.equal(actual, expected)
    assert batch.equal(batch.concatenate_rows([alone, alone]), actual)
    assert actual.up[0].tolist() == pytest.approx([0.40, 0.20, 0.30, 0.50])
    assert actual.down[0].tolist() == pytest.approx([0.25, 0.05, 0.15, 0.35])


def test_only_four_slots_of_the_two_house_feeder(config: EnvConfig) -> None:
    with pytest.raises(ConfigError, match=r"tiny: slots = 8: expected 4"):
        make_source(config.model_copy(update={"slots": 8}))
