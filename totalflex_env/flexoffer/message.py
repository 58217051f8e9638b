"""Flex-offers as JSON: the message of the FlexOffer User Group (version 1, 2023), and the names AAU's manager uses.

Inside, a message is in kWh with consumption positive and has absolute times. In files the sign is whatever the sender
means: the specification says both, so it must be told. Anything that a message may not hold is a DataError that names
the field, its value and what was expected; nothing is swapped, guessed or left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from totalflex_env.errors import DataError
from totalflex_env.flexoffer.message_names import Dialect, canonical, foreign, restore_times, with_intervals

KWH = {"1": 1e-3, "k": 1.0, "M": 1e3}
"""kWh of one Wh with a multiplier."""


class Sign(IntEnum):
    """What a positive energy in a file is."""

    CONSUMPTION = 1
    PRODUCTION = -1


def _single(value: Any) -> Any:
    """Return what a list of one holds: some senders wrap numbers and constraints."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number, not a truth value")
    return value


def _no_number(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("a date and time in ISO 8601 with its offset from UTC")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_no_number)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_no_truth)]
Count = Annotated[int, Field(ge=1, le=100_000), BeforeValidator(_no_truth)]
State = Literal["initial", "offered", "accepted", "assigned", "executed", "rejected", "invalid", "canceled"]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Range(_Part):
    """Bounds of an energy in kWh, a cost in EUR or a power factor."""

    lower: Annotated[Number, BeforeValidator(_single)]
    upper: Annotated[Number, BeforeValidator(_single)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lower > self.upper:
            raise ValueError(f"a lower bound that is not above the upper bound {self.upper}")
        return self


class Prices(_Part):
    """The most that is paid for more consumption and the least that is asked for more production, EUR/kWh."""

    min_price: Number
    max_price: Number


class Slice(_Part):
    """Some intervals of a profile: one range of their energy together, or one range each."""

    min_duration: Count = 1
    max_duration: Count = 1
    energy_constraint_list: list[Range] = Field(min_length=1)
    dependency_energy_constraint_list: list[tuple[Number, Number, Number]] = []
    price_constraint: Prices | None = None

    @model_validator(mode="after")
    def _of_one_duration(self) -> Self:
        if self.min_duration != self.max_duration:
            raise ValueError(f"a minDuration that equals maxDuration, {self.max_duration}")
        if len(self.energy_constraint_list) not in (1, self.max_duration):
            raise ValueError(f"one range of energy, or {self.max_duration}, one for each interval")
        if self.dependency_energy_constraint_list and self.max_duration > 1:
            raise ValueError("dependency constraints on slices of one interval only")
        return self


class PriceSlice(_Part):
    """Prices over some intervals."""

    duration: Count = 1
    price_constraint: Prices


class PriceProfile(_Part):
    """Prices from a time on."""

    start_time: Time
    price_slices: list[PriceSlice]


class ScheduleSlice(_Part):
    """Energy in kWh over some intervals together, and its price in EUR/kWh."""

    duration: Count = 1
    energy_amount: Number
    price: Number | None = None


class Schedule(_Part):
    """An assignment, or the default."""

    schedule_id: int | None = None
    update_id: int | None = None
    start_time: Time
    num_seconds_per_interval: Count | None = None
    schedule_slices: list[ScheduleSlice]


class FlexOfferMessage(_Part):
    """One flex-offer as it is sent. Energies in kWh, consumption positive, whatever the file holds."""

    id: str
    state: State
    state_reason: str | None = None
    creation_time: Time
    offered_by_id: str
    location_id: str | dict[str, Any] | None = None
    label: str | None = None
    internal_id: str | None = None
    assignment: str | None = None
    correct: bool | None = None
    accept_before_time: Time | None = None
    assignment_before_time: Time | None = None
    assignment_before_start: Annotated[int, Field(ge=0)] | None = None  # seconds before the scheduled start
    start_after_time: Time | None = None
    start_before_time: Time
    end_after_time: Time | None = None
    end_before_time: Time | None = None
    num_seconds_per_interval: Count = 900
    flex_offer_profile_constraints: list[Slice]  # none: the flexibility is withdrawn
    total_energy_constraint: Annotated[Range | None, BeforeValidator(_single)] = None
    sub_total_energy_constraint: Annotated[Range | None, BeforeValidator(_single)] = None
    power_factor_constraint: Range | None = None
    total_cost_constraint: Range | None = None
    flex_offer_price_constraints: PriceProfile | None = None
    default_schedule: Schedule | None = None
    flex_offer_schedule: Schedule | None = None
    flex_offer_profil_type: Literal["activeEnergy"] = "activeEnergy"
    unit: Literal["Wh"] = "Wh"
    multiplier: Literal["k", "1", "M"] = "k"


def read(text: str | bytes, sign: Sign) -> list[FlexOfferMessage]:
    """Return the flex-offers of a JSON text: one, a list, or either under the key flexOffer, in either dialect."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError("flex-offer message", "text", _shown(text), f"JSON ({error})") from error
    if isinstance(data, dict) and "flexOffer" in data:
        data = data["flexOffer"]
    offers = data if isinstance(data, list) else [data]
    return [_scaled(_checked(offer, number), sign) for number, offer in enumerate(offers)]


def write(messages: Sequence[FlexOfferMessage], sign: Sign, dialect: Dialect = Dialect.SPECIFICATION) -> str:
    """Return flex-offers as JSON text; what the dialect has no name for is a DataError."""
    offers = []
    for message in messages:
        factor = sign * KWH[message.multiplier]
        raw = _in_unit(message, 1.0 / factor).model_dump(mode="json", by_alias=True, exclude_none=True)
        offers.append(foreign(with_intervals(raw) if dialect is Dialect.AAU else raw, dialect))
    return json.dumps({"flexOffer": offers}, allow_nan=False)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _shown(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def _checked(offer: object, number: int) -> FlexOfferMessage:
    """Return the message that one JSON object holds, in the unit and sign of its file."""
    place = f"flexOffer.{number}"
    if not isinstance(offer, dict):
        raise DataError("flex-offer message", place, offer, "a flex-offer, which is an object")
    try:
        return FlexOfferMessage.model_validate(restore_times(canonical(offer, place), place))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join([place, *map(str, first["loc"])])
        expected = first["msg"].removeprefix("Value error, ")
        raise DataError("flex-offer message", field, first["input"], expected) from error


def _scaled(message: FlexOfferMessage, sign: Sign) -> FlexOfferMessage:
    return _in_unit(message, sign * KWH[message.multiplier])


def _in_unit(message: FlexOfferMessage, factor: float) -> FlexOfferMessage:
    """Return a message whose energies are `factor` times as large; a negative factor swaps lower and upper."""

    def scaled(bounds: Range | None) -> Range | None:
        if bounds is None:
            return None
        low, high = sorted((_times(bounds.lower, factor), _times(bounds.upper, factor)))
        return Range(lower=low, upper=high)

    def slice_(one: Slice) -> Slice:
        direction = 1.0 if factor > 0.0 else -1.0
        rows = [
            (_times(a, direction), _times(b, direction), _times(c, abs(factor)))
            for a, b, c in one.dependency_energy_constraint_list
        ]
        ranges = [scaled(bounds) for bounds in one.energy_constraint_list]
        return one.model_copy(update={"energy_constraint_list": ranges, "dependency_energy_constraint_list": rows})

    def schedule(one: Schedule | None) -> Schedule | None:
        if one is None:
            return None
        amounts = [
            part.model_copy(update={"energy_amount": _times(part.energy_amount, factor)})
            for part in one.schedule_slices
        ]
        return one.model_copy(update={"schedule_slices": amounts})

    return message.model_copy(
        update={
            "flex_offer_profile_constraints": [slice_(one) for one in message.flex_offer_profile_constraints],
            "total_energy_constraint": scaled(message.total_energy_constraint),
            "sub_total_energy_constraint": scaled(message.sub_total_energy_constraint),
            "default_schedule": schedule(message.default_schedule),
            "flex_offer_schedule": schedule(message.flex_offer_schedule),
        }
    )


def _times(number: float, factor: float) -> float:
    """Return a product without a negative zero."""
    return number * factor + 0.0
