"""The world on one page: the records that cross module boundaries. What is traded is in `trade_types.py`.

All records are frozen and hold tensors, batch first. B rows (copies of the world), T slots, P houses, A aggregators,
N devices of all families one after the other, M grid nodes, E grid elements, L limited elements, K steps of a curve.
What families of devices know, hold and remember are their own records, one each in the order of `Params.families`
(`devices/family.py`).
Consumption is positive. Energies are kWh per slot, prices EUR/kWh, temperatures degrees Celsius, voltages per unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.devices.family import Family
from totalflex_env.grid_model import GridModel, PowerFlow
from totalflex_env.trade_types import Ledger


# ---------------------------------------------------------------- what never changes during an episode
@dataclass(frozen=True)
class Params:
    """The fixed part of a world."""

    config: EnvConfig
    families: tuple[Family[Any, Any, Any], ...]  # the devices; kinds that are absent are left out
    kinds: tuple[str, ...]  # [N] what each device is called: "ev", "heat-pump", ...
    house: Tensor  # [N] int64, house of every device
    node: Tensor  # [P] int64, grid node of every house
    grid: GridModel
    limited: Tensor  # [L] int64, elements whose limits enter the clearing, leaf before root
    members: Tensor  # [L, P] bool, houses behind each limited element
    slot_hours: float  # hours per slot
    aggregator: Tensor  # [P] int64, with which aggregator every house is

    @property
    def aggregators(self) -> int:
        """Number of aggregators, A."""
        return self.config.aggregators


# ---------------------------------------------------------------- one episode, drawn whole at reset
@dataclass(frozen=True)
class Population:
    """Who is there, row by row. Houses and devices that are not take no energy, cost nothing and do not act."""

    houses: Tensor  # [B, P] bool
    devices: Tensor  # [B, N] bool, in houses that are there


@dataclass(frozen=True)
class Scenario:
    """Everything from outside that happens in an episode."""

    spot: Tensor  # [B, T] EUR/kWh, known at the day-ahead gate
    up: Tensor  # [B, T] EUR/kWh, price of energy short of the nomination, >= spot
    down: Tensor  # [B, T] EUR/kWh, price of energy beyond the nomination, <= spot
    wind_kwh: Tensor  # [B, T] production of the wind park, >= 0
    temperature: Tensor  # [B, T] outdoors
    irradiance: Tensor  # [B, T] kW/m2 of sun on the horizontal
    base_kwh: Tensor  # [B, T, P] inflexible consumption
    base_kvarh: Tensor  # [B, T, P] its reactive energy
    pv_kwh: Tensor  # [B, T, P] production, >= 0
    habits: tuple[Any, ...]  # of each family: sessions, surroundings, windows
    population: Population | None = None  # None: everybody is there


@dataclass(frozen=True)
class Forecast:
    """What may be known at the start of a slot: the past as it was, the rest as expected."""

    slot: int  # first slot whose outcome is unknown; its weather, spot price and plugged vehicles are known
    scenario: Scenario


@dataclass(frozen=True)
class SlotForecast:
    """The part of a forecast that a single slot needs; cheap enough for every step."""

    base_kwh: Tensor  # [B, P]
    base_kvarh: Tensor  # [B, P]
    pv_kwh: Tensor  # [B, P]
    wind_kwh: Tensor  # [B]
    spot: Tensor  # [B]
    up: Tensor  # [B]
    down: Tensor  # [B]


@dataclass(frozen=True)
class Outlook:
    """What the day-ahead gate tells about the whole episode, prepared once."""

    spot: Tensor  # [B, T]
    cheapest: Tensor  # [B, T] int64, slots in rising order of the spot price
    load_kwh: Tensor  # [B, T] expected consumption less PV of all houses without their devices
    holding_kwh: Tensor  # [B, T] expected energy of devices that cannot choose when: heat at its set-point
    headroom_kwh: Tensor  # [B, T] what the element next to the root can still carry beyond these two
    features: Tensor  # [B, T, F] what roles see of it in each slot, names in `engine/almanac.py`
    values: tuple[Tensor | None, ...]  # of each family: what its states will be worth, where it has a table of that


@dataclass(frozen=True)
class Episode:
    """The truth, the day-ahead expectation of it, and what follows from the expectation."""

    actual: Scenario
    expected: Scenario
    outlook: Outlook
    nomination_kwh: Tensor  # [B, T] net consumption bought day-ahead
    guards: tuple[Any, ...]  # of each family: what the expectation tells about limits


# ---------------------------------------------------------------- what moves
@dataclass(frozen=True)
class DeviceState:
    """The state of all devices at the start of a slot."""

    parts: tuple[Any, ...]  # of each family


@dataclass(frozen=True)
class State:
    """The state of the world at the start of a slot."""

    slot: int
    devices: DeviceState
    twin: DeviceState  # the same devices under their own controllers, untouched by the market
    last_imbalance_kwh: Tensor  # [B] of the slot before
    last_price: Tensor  # [B] balance price of the slot before


# ---------------------------------------------------------------- one slot of the market
@dataclass(frozen=True)
class Action:
    """What the roles do in a slot. A target is firm when both of its prices lie at the cap."""

    target_kwh: Tensor  # [B, N] aggregator: energy it wants each device to take
    worth_less: Tensor  # [B, N] aggregator: EUR/kWh above which it gives energy below the target away
    worth_more: Tensor  # [B, N] aggregator: EUR/kWh below which it takes energy above the target
    release: Tensor  # [B, P] prosumer: share of its flexibility offered, 0..1
    markup: Tensor  # [B, P] prosumer: EUR/kWh asked for deviating from the default
    brp_price: Tensor  # [B, K] BRP: rising prices of its curve, EUR/kWh
    brp_kwh: Tensor  # [B, K] BRP: energy of each step
    brp_start_kwh: Tensor  # [B] BRP: energy beyond the nomination at which the first step begins
    dso_share: Tensor  # [B] DSO: share of each rating left to the market
    dso_price: Tensor  # [B] DSO: price cap V of an overload, EUR/kWh
    traded: bool  # False: no flexibility market, devices follow the targets


@dataclass(frozen=True)
class Decision:
    """What a slot decides before its outcome is known."""

    lower: Tensor  # [B, N] energy limits of the devices
    upper: Tensor  # [B, N]
    position_kwh: Tensor  # [B, N] reference for money: energy of the default twin
    energy_kwh: Tensor  # [B, N] set-points, within the limits
    award_mwh: Tensor  # [B, N] int64 milliwatt-hours, deviation from the position that the market bought
    balance_price: Tensor  # [B] int64 micro-EUR/kWh
    grid_price: Tensor  # [B, P] int64 micro-EUR/kWh
    traded: bool
    curtailed_kwh: Tensor  # [B] energy by which the DSO moved devices after the clearing, summed over them


# ---------------------------------------------------------------- what came of it
@dataclass(frozen=True)
class Costs:
    """System cost of a slot by cause, EUR; their sum is what every policy and solver minimises."""

    spot: Tensor  # [B] spot price times the nomination
    imbalance: Tensor  # [B] energy beyond or short of the nomination at its price
    overload: Tensor  # [B]
    voltage: Tensor  # [B]
    discomfort: Tensor  # [B] degree-hours, delays, missing charge
    shortfall: Tensor  # [B] stored energy missing against the start, in the last slot

    def total(self) -> Tensor:
        """Return the system cost [B] in EUR."""
        return self.spot + self.imbalance + self.overload + self.voltage + self.discomfort + self.shortfall


@dataclass(frozen=True)
class Rewards:
    """Money of each role in a slot, EUR; over all roles it sums to minus the system cost."""

    prosumer: Tensor  # [B, P]
    aggregator: Tensor  # [B, A]
    brp: Tensor  # [B]
    dso: Tensor  # [B]


@dataclass(frozen=True)
class Outcome:
    """What a slot did."""

    energy_kwh: Tensor  # [B, N] metered energy of the devices
    net_kwh: Tensor  # [B] consumption less PV less wind
    imbalance_kwh: Tensor  # [B] net consumption less nomination
    flow: PowerFlow
    overload_kvah: Tensor  # [B]
    voltage_puh: Tensor  # [B] p.u. hours outside the band
    degree_hours: Tensor  # [B]
    unmet_kwh: Tensor  # [B]
    costs: Costs
    ledger: Ledger
    rewards: Rewards


@dataclass(frozen=True)
class Observation:
    """What each role sees at the start of a slot; features and units in `engine/observe.py`."""

    prosumer: Tensor  # [B, P, F_prosumer]
    aggregator: Tensor  # [B, A, F_aggregator]
    brp: Tensor  # [B, F_brp]
    dso: Tensor  # [B, F_dso]


# ---------------------------------------------------------------- who decides, and where days come from
@dataclass(frozen=True)
class Situation:
    """What is known at the start of a slot, all that policies and the market may use; nothing of the future."""

    params: Params
    state: State
    lower: Tensor  # [B, N] energy limits of the devices in this slot
    upper: Tensor  # [B, N]
    default: Tensor  # [B, N] energy of the devices' own controllers from here
    position_kwh: Tensor  # [B, N] energy of the default twins, the reference for money
    nomination_kwh: Tensor  # [B, T]
    outlook: Outlook
    present: tuple[Any, ...]  # of each family: what is known of its habits without forecasting
    expected: SlotForecast  # what this slot is expected to bring
    forecast: Callable[[], Forecast]  # made when asked for, since most policies need less
    population: Population | None = None  # None: everybody is there


class Policy(Protocol):
    """Anything that acts for the aggregator (and, where it wants, for the other roles)."""

    def reset(self, situation: Situation) -> None:
        """Forget the last episode; called once before the first slot."""

    def act(self, situation: Situation) -> Action:
        """Return the action of this slot."""


class Source(Protocol):
    """Anything that draws episodes."""

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, one row per seed."""


class HouseSource(Protocol):
    """A source of episodes that knows where its houses are."""

    @property
    def config(self) -> EnvConfig:
        """The configuration it was made of, with the devices that its grid brings."""

    @property
    def net(self) -> Any:
        """The pandapower net, None where the grid is made elsewhere."""

    @property
    def house_bus(self) -> tuple[int, ...]:
        """Pandapower bus of every house."""

    @property
    def peak_kw(self) -> tuple[float, ...]:
        """Highest inflexible consumption or production of every house."""

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, float64, one row per seed and by that seed alone."""
