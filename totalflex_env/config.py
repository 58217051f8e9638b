"""Configuration of an environment: one frozen pydantic model per part of the world, a unit and a sentence per field.

A YAML file under `configs/env/` holds only what differs from the defaults written here. Unknown keys are errors.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)


class Settings(BaseModel):
    """Base of every configuration model: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GridConfig(Settings):
    """Where the grid comes from."""

    source: Literal["simbench", "two_house"] = "simbench"
    code: str = Field("1-LV-rural1--0-sw", description="SimBench code of a radial grid, read when source is 'simbench'")


class EvConfig(Settings):
    """Electric vehicles at home: one session an evening, energy split at will (valve model)."""

    count: NonNegativeInt = 0
    power_kw: PositiveFloat = 11.0
    arrival_hour: float = Field(17.0, ge=12.0, lt=36.0, description="mean local hour of plugging in")
    arrival_spread_h: NonNegativeFloat = Field(0.8, description="standard deviation of the arrival")
    departure_first_hour: float = Field(30.5, description="earliest local hour of leaving; 30.5 is 06:30 the next day")
    departure_last_hour: float = Field(32.5, description="latest local hour of leaving")
    need_median_kwh: PositiveFloat = 10.0
    need_log_spread: NonNegativeFloat = Field(0.6, description="standard deviation of the logarithm of the need")
    need_max_kwh: PositiveFloat = 40.0
    unmet_price: NonNegativeFloat = Field(2.0, description="EUR per kWh that is missing at departure")


class BatteryConfig(Settings):
    """Stationary batteries with losses in both directions."""

    count: NonNegativeInt = 0
    power_kw: PositiveFloat = 4.0
    capacity_kwh: PositiveFloat = 8.0
    charge_efficiency: float = Field(0.95, gt=0.0, le=1.0)
    discharge_efficiency: float = Field(0.95, gt=0.0, le=1.0)
    start_share: float = Field(0.5, ge=0.0, le=1.0, description="stored share of the capacity at the start")


class HeatPumpConfig(Settings):
    """Air-source heat pumps, each heating one house (first-order thermal model)."""

    count: NonNegativeInt = 0
    power_kw: tuple[PositiveFloat, PositiveFloat] = Field((3.0, 5.0), description="smallest and largest electric power")
    resistance_k_per_kw: PositiveFloat = Field(4.5, description="of the house's envelope")
    capacitance_kwh_per_k: PositiveFloat = Field(8.0, description="of the house")
    setpoint_c: float = 21.0
    band_k: PositiveFloat = Field(1.0, description="comfort band is the set-point plus and minus this")
    flow_c: float = Field(40.0, description="supply temperature that the coefficient of performance refers to")
    degree_hour_price: NonNegativeFloat = Field(0.5, description="EUR per degree-hour outside the band")
    margin_k: NonNegativeFloat = Field(2.0, description="outdoor temperature error that the limits withstand")


class FreezerConfig(Settings):
    """Chest freezers in a heated room."""

    count: NonNegativeInt = 0
    power_kw: PositiveFloat = 0.12
    resistance_k_per_kw: PositiveFloat = 350.0
    capacitance_kwh_per_k: PositiveFloat = 0.03
    setpoint_c: float = -18.0
    band_k: PositiveFloat = 2.0
    room_c: float = 20.0
    coefficient_of_performance: PositiveFloat = 1.6
    degree_hour_price: NonNegativeFloat = 0.1


class DishwasherConfig(Settings):
    """Wet appliances: a fixed programme that runs once, started inside a window."""

    count: NonNegativeInt = 0
    profile_kw: tuple[PositiveFloat, ...] = Field((2.0, 0.2, 0.2, 1.6, 0.1), min_length=1, description="power per slot")
    ready_hour: tuple[float, float] = Field((18.0, 21.0), description="local hours between which it is loaded")
    latest_end_hour: float = Field(31.0, description="local hour by which the programme has ended")
    delay_price: NonNegativeFloat = Field(0.002, description="EUR per slot that the start is put off")


class DevicesConfig(Settings):
    """How many devices of each kind; device i of a kind belongs to house i modulo the number of houses."""

    ev: EvConfig = EvConfig()
    battery: BatteryConfig = BatteryConfig()
    heat_pump: HeatPumpConfig = HeatPumpConfig()
    freezer: FreezerConfig = FreezerConfig()
    dishwasher: DishwasherConfig = DishwasherConfig()


class ErrorConfig(Settings):
    """A forecast error: first-order autoregressive, so that it grows with lead time towards `deviation`."""

    deviation: NonNegativeFloat = Field(description="standard deviation at long lead times, share of the reference")
    memory_h: PositiveFloat = Field(description="hours after which a known deviation has faded to 1/e")


class ForecastConfig(Settings):
    """What the future hides: standard deviations of day-ahead errors and how fast a known error fades."""

    load: ErrorConfig = Field(ErrorConfig(deviation=0.4, memory_h=2.0), description="share of a house's mean load")
    pv: ErrorConfig = Field(ErrorConfig(deviation=0.10, memory_h=3.0), description="share of installed power, by day")
    wind: ErrorConfig = Field(ErrorConfig(deviation=0.10, memory_h=6.0), description="share of installed power")
    temperature: ErrorConfig = Field(ErrorConfig(deviation=1.0, memory_h=12.0), description="kelvin")
    spread_memory_h: PositiveFloat = Field(1.6, description="hours after which an imbalance spread has faded to 1/e")


class PriceConfig(Settings):
    """Danish prices (DK1, hourly settlement era) in EUR/MWh: spot and imbalance spreads."""

    spot_mean: float = 86.0
    spot_deviation: NonNegativeFloat = Field(45.0, description="of the day-to-day and hour-to-hour residual")
    spot_shape: NonNegativeFloat = Field(1.0, description="scale of the daily shape with its morning and evening peak")
    up_share: float = Field(0.22, ge=0.0, le=1.0, description="share of hours with up-regulation")
    down_share: float = Field(0.35, ge=0.0, le=1.0, description="share of hours with down-regulation")
    spread_mean: NonNegativeFloat = Field(44.0, description="mean |imbalance - spot| where it is not zero")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.up_share + self.down_share > 1.0:
            raise ValueError("'up_share' and 'down_share' sum to at most 1")
        return self


class WindConfig(Settings):
    """The wind park of the balance responsible party."""

    share: NonNegativeFloat = Field(0.5, description="mean wind energy over mean consumption of the houses")


class ScenarioConfig(Settings):
    """Where an episode comes from."""

    source: str = Field("simbench", description="name in scenario/sources.py: 'simbench' or 'tiny'")
    months: tuple[int, ...] = Field((10, 11, 12, 1, 2, 3), description="months that days are drawn from")
    split: Literal["train", "validation", "test", "all"] = Field(
        "all", description="weeks that days are drawn from: of every six, four train, one validates, one tests"
    )
    start_hour: int = Field(12, ge=0, le=23, description="local hour at which the episode starts")


class MarketConfig(Settings):
    """Rules and true prices of the market."""

    overload_price: NonNegativeFloat = Field(1.0, description="V, EUR per kVAh of loading above the rating")
    voltage_price: NonNegativeFloat = Field(50.0, description="V_u, EUR per p.u. and hour outside the voltage band")
    price_cap: PositiveFloat = Field(4.0, description="EUR/kWh, the highest price a bid may name, above V")
    brp_steps: PositiveInt = Field(8, description="steps of the scripted BRP's curve")
    dso_share: PositiveFloat = Field(0.97, description="share of a rating that the scripted DSO lets the market use")
    aggregator_share: float = Field(
        0.2, ge=0.0, le=1.0, description="of the flexibility income, kept by the aggregator"
    )
    non_delivery_price: NonNegativeFloat = Field(0.3, description="EUR per kWh awarded and not delivered")


class EnvConfig(Settings):
    """One environment: a grid, its houses and devices, the days that are drawn, and the rules of the market."""

    name: str
    slots: PositiveInt = Field(96, description="quarter-hours per episode, from `scenario.start_hour`")
    grid: GridConfig = GridConfig()
    devices: DevicesConfig = DevicesConfig()
    scenario: ScenarioConfig = ScenarioConfig()
    forecast: ForecastConfig = ForecastConfig()
    prices: PriceConfig = PriceConfig()
    wind: WindConfig = WindConfig()
    market: MarketConfig = MarketConfig()
    learners: tuple[Literal["prosumer", "aggregator", "brp", "dso"], ...] = ("prosumer", "aggregator", "brp", "dso")
