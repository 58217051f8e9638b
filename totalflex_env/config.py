"""Configuration of an environment: one frozen pydantic model per part of the world, a unit and a sentence per field.

A YAML file under `configs/env/` holds only what differs from the defaults written here. Unknown keys are errors.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, InstanceOf, NonNegativeFloat, PositiveFloat, PositiveInt, SerializeAsAny, model_validator

from totalflex_env.data_config import RecordedConfig, SyntheticConfig
from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.charging_park import ChargingParkConfig
from totalflex_env.devices.dishwasher import DishwasherConfig
from totalflex_env.devices.dryer import DryerConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.ev_block import EvBlockConfig
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.freezer import FreezerConfig
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.devices.heavy_house import HeavyHouseConfig
from totalflex_env.devices.hot_water import HotWaterConfig
from totalflex_env.devices.industry import IndustryConfig
from totalflex_env.devices.office import OfficeConfig
from totalflex_env.devices.pv import PvConfig
from totalflex_env.devices.refrigerator import RefrigeratorConfig
from totalflex_env.devices.washing_machine import WashingMachineConfig
from totalflex_env.settings import Settings


class GridConfig(Settings):
    """Where the grid comes from."""

    source: Literal["simbench", "json", "two_house"] = "simbench"
    path: str = Field("", description="pandapower JSON file of a radial grid, read when source is 'json'")
    code: str = Field("1-LV-rural1--0-sw", description="SimBench code of a radial grid, read when source is 'simbench'")
    devices: Literal["profiles", "flexible"] = Field(
        "profiles",
        description="SimBench's own heat pumps, chargers and batteries: played as they are, or flexible",
    )
    transformer_kva: PositiveFloat | None = Field(
        None, description="rating of the transformer to low voltage, its short-circuit voltage kept; None: as it is"
    )


class DevicesConfig(Settings):
    """The kinds of devices, a field each, and more groups of them with numbers of their own."""

    ev: EvConfig = EvConfig()
    battery: BatteryConfig = BatteryConfig()
    heat_pump: HeatPumpConfig = HeatPumpConfig()
    freezer: FreezerConfig = FreezerConfig()
    dishwasher: DishwasherConfig = DishwasherConfig()
    refrigerator: RefrigeratorConfig = RefrigeratorConfig()
    washing_machine: WashingMachineConfig = WashingMachineConfig()
    dryer: DryerConfig = DryerConfig()
    pv: PvConfig = PvConfig()
    heavy_house: HeavyHouseConfig = HeavyHouseConfig()
    hot_water: HotWaterConfig = HotWaterConfig()
    office: OfficeConfig = OfficeConfig()
    industry: IndustryConfig = IndustryConfig()
    charging_park: ChargingParkConfig = ChargingParkConfig()
    ev_block: EvBlockConfig = EvBlockConfig()
    further: tuple[InstanceOf[DeviceSettings], ...] = Field(
        (), exclude=True, description="more groups of these kinds: where a SimBench grid puts its own, never in a file"
    )


class ErrorConfig(Settings):
    """A forecast error: first-order autoregressive, so that it grows with lead time towards `deviation`."""

    deviation: NonNegativeFloat = Field(description="standard deviation at long lead times, share of the reference")
    memory_h: PositiveFloat = Field(description="hours after which a known deviation has faded to 1/e")


class ForecastConfig(Settings):
    """What the future hides: standard deviations of day-ahead errors and how fast a known error fades."""

    load: ErrorConfig = Field(ErrorConfig(deviation=0.4, memory_h=2.0), description="share of a house's mean load")
    pv: ErrorConfig = Field(ErrorConfig(deviation=0.10, memory_h=5.0), description="share of installed power, by day")
    wind: ErrorConfig = Field(ErrorConfig(deviation=0.103, memory_h=6.0), description="share of installed power")
    temperature: ErrorConfig = Field(ErrorConfig(deviation=1.0, memory_h=12.0), description="kelvin")
    spread_memory_h: PositiveFloat = Field(1.6, description="hours after which an imbalance spread has faded to 1/e")


class PriceConfig(Settings):
    """Danish prices (DK1) in EUR/MWh: spot and imbalance spreads; what an era implies need not be said."""

    spot_mean: float = 86.0
    spot_deviation: NonNegativeFloat = Field(45.0, description="of the residual around season, weekday and hour")
    spot_shape: NonNegativeFloat = Field(1.0, description="scale of the course of the day and the week")
    era: Literal["hourly", "15min"] = Field("hourly", description="imbalance settled by the hour, or since 2025-03-04")
    up_share: float = Field(0.22, ge=0.0, le=1.0, description="share of time with up-regulation; 0.35 since 2025")
    down_share: float = Field(0.35, ge=0.0, le=1.0, description="share of time with down-regulation; 0.55 since 2025")
    spread_mean: NonNegativeFloat = Field(44.0, description="mean |imbalance - spot| where it is not 0; 102 since 2025")

    @model_validator(mode="before")
    @classmethod
    def _of_the_era(cls, fields: Any) -> Any:
        since_2025 = {"up_share": 0.35, "down_share": 0.55, "spread_mean": 102.0}
        return {**since_2025, **fields} if isinstance(fields, dict) and fields.get("era") == "15min" else fields

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.up_share + self.down_share > 1.0:
            raise ValueError("'up_share' and 'down_share' sum to at most 1")
        return self

    @property
    def period_slots(self) -> int:
        """Slots for which an imbalance price holds."""
        return {"hourly": 4, "15min": 1}[self.era]


class WindConfig(Settings):
    """The wind park of the balance responsible party."""

    share: NonNegativeFloat = Field(0.5, description="mean wind energy over mean consumption of the houses")


class ScenarioConfig(Settings):
    """Where an episode comes from."""

    source: str = Field(
        "simbench", description="name in scenario/sources.py: 'simbench', 'synthetic', 'recorded' or 'tiny'"
    )
    months: tuple[int, ...] = Field((10, 11, 12, 1, 2, 3), description="months that days are drawn from")
    split: Literal["train", "validation", "test", "all"] = Field(
        "all", description="weeks that days are drawn from: of every six, four train, one validates, one tests"
    )
    start_hour: int = Field(12, ge=0, le=23, description="local hour at which the episode starts")


class PopulationConfig(Settings):
    """Who is there: a share of the houses, and of the devices, drawn anew for every episode."""

    houses: tuple[float, float] = Field((1.0, 1.0), description="least and greatest share of the houses")
    devices: tuple[float, float] = Field((1.0, 1.0), description="the same of the devices in houses that are there")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        for least, most in (self.houses, self.devices):
            if not 0.0 <= least <= most <= 1.0:
                raise ValueError("'houses' and 'devices' are two rising shares from 0 to 1")
        return self

    @property
    def everybody(self) -> bool:
        """Whether all houses and devices are always there."""
        return self == PopulationConfig()


class MarketConfig(Settings):
    """Rules and true prices of the market."""

    overload_price: NonNegativeFloat = Field(1.0, description="V, EUR per kVAh of loading above the rating")
    voltage_price: NonNegativeFloat = Field(50.0, description="V_u, EUR per p.u. and hour outside the voltage band")
    price_cap: PositiveFloat = Field(4.0, le=1_000.0, description="EUR/kWh, the highest price a bid may name, above V")
    brp_steps: PositiveInt = Field(8, description="steps of the scripted BRP's curve")
    dso_share: PositiveFloat = Field(0.97, description="share of a rating that the scripted DSO lets the market use")
    aggregator_share: float = Field(
        0.2, ge=0.0, le=1.0, description="of the flexibility income, kept by the aggregator"
    )
    delivery: Literal["usef", "sliding", "cliff_75", "cliff_80"] = Field(
        "usef", description="what is paid of an order that is delivered in part, see market/delivery.py"
    )
    non_delivery_price: NonNegativeFloat = Field(
        0.3, le=1_000.0, description="penalty of the 'usef' rule, EUR per kWh awarded and not delivered"
    )
    imbalance: Literal["two_price", "single_price"] = Field(
        "two_price", description="what energy beside the nomination costs; with a single price all nominate alike"
    )


class RewardConfig(Settings):
    """Weights of the terms of rewards, in EUR. With all of them at 1 the roles together earn minus the system cost."""

    money: NonNegativeFloat = Field(1.0, description="what the account of a role gains in the ledger")
    comfort: NonNegativeFloat = Field(1.0, description="discomfort and missing stored energy, at their true prices")
    overload: NonNegativeFloat = Field(1.0, description="loading above ratings at V")
    voltage: NonNegativeFloat = Field(1.0, description="voltages outside the band at V_u")
    energy: NonNegativeFloat = Field(1.0, description="of the system: net consumption at the spot price")
    imbalance: NonNegativeFloat = Field(1.0, description="of the system: what imbalance costs beyond the spot price")


class EnvConfig(Settings):
    """One environment: a grid, its houses and devices, the days that are drawn, and the rules of the market."""

    name: str
    slots: PositiveInt = Field(96, description="quarter-hours per episode, from `scenario.start_hour`")
    grid: GridConfig = GridConfig()
    devices: SerializeAsAny[DevicesConfig] = DevicesConfig()
    scenario: ScenarioConfig = ScenarioConfig()
    synthetic: SyntheticConfig = SyntheticConfig()
    recorded: RecordedConfig = RecordedConfig()
    forecast: ForecastConfig = ForecastConfig()
    prices: PriceConfig = PriceConfig()
    wind: WindConfig = WindConfig()
    population: PopulationConfig = PopulationConfig()
    market: MarketConfig = MarketConfig()
    aggregators: PositiveInt = Field(1, description="aggregators; house p is with aggregator p modulo their number")
    learners: tuple[Literal["prosumer", "aggregator", "brp", "dso"], ...] = ("prosumer", "aggregator", "brp", "dso")
    reward: RewardConfig = RewardConfig()
    constraints: tuple[Literal["project", "penalty", "mask", "cost", "curtail"], ...] = Field(
        ("project", "penalty"),
        description="how limits are kept: set-points are projected onto what devices can do (always); violations of "
        "the grid are priced in rewards; actions without effect are masked; violations are a cost beside the reward "
        "(constrained MDP); the DSO curtails after the clearing",
    )

    @model_validator(mode="after")
    def _limits_always_hold(self) -> Self:
        if "project" not in self.constraints:
            raise ValueError("'constraints' holds 'project', since set-points never leave what devices can do")
        return self
