"""Configuration of where days come from: homes that are made up, and files of recorded days."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from totalflex_env.settings import Settings

Decimal = Literal["", ".", ","]


class SyntheticConfig(Settings):
    """Homes of the sources 'synthetic' and 'recorded': what they consume without flexible devices, and their roofs."""

    household_kwh: PositiveFloat = Field(4000.0, description="mean consumption of a home in a year")
    pv_share: float = Field(0.2, ge=0.0, le=1.0, description="share of homes with solar power")
    pv_kw: NonNegativeFloat = Field(6.0, description="rating of a home's solar power")
    houses_seed: int = Field(0, ge=0, description="seed of who lives where, the same in all episodes")


class SessionColumns(Settings):
    """Which columns of a CSV file of charging sessions hold what."""

    start: str
    end: str
    energy: str = Field(description="kWh")
    user: str = Field("", description="empty where the file names no users")
    form: str = Field("", description="strptime format of the times, empty for ISO 8601")
    zone: str = Field("UTC", description="time zone of times without an offset, such as Europe/Copenhagen")
    decimal: Decimal = Field("", description="decimal sign, empty: a point between commas, a comma between semicolons")


class RecordedConfig(Settings):
    """Files that the source 'recorded' plays; what has no file is drawn as in the source 'synthetic'."""

    spot: str = Field("", description="Energi Data Service file, CSV or JSON: Elspotprices or DayAheadPrices")
    imbalance: str = Field("", description="Energi Data Service: RegulatingBalancePowerdata or ImbalancePrice")
    area: str = Field("DK1", description="price area of both")
    temperature: str = Field("", description="CSV of time and degrees, EPW (.epw) or test reference year (.dat)")
    wind: str = Field("", description="Energi Data Service file with a column of hourly wind energy")
    wind_column: str = "OnshoreWindMWh"
    load: str = Field("", description="CSV of times and kW, a column for each house, headed by the index of its load")
    pv: str = Field("", description="the same for solar production")
    sessions: str = Field("", description="charging sessions: ACN-Data JSON, or CSV by `session_columns`")
    session_columns: SessionColumns | None = None
    first_day: date | None = Field(None, description="first local day that an episode may begin on")
    last_day: date | None = Field(None, description="last such day")
    fill: Literal["none", "previous", "interpolate", "drop"] = Field(
        "none",
        description="missing values: an error, the value before, a straight line, or days that are not drawn; sessions "
        "that lack something are an error, else left out",
    )

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("'last_day' is not before 'first_day'")
        return self
