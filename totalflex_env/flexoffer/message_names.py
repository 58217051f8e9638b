"""What the fields of a flex-offer message are called: the specification, its own examples, and AAU's manager.

Times may be given as interval numbers, which count `numSecondsPerInterval` from the epoch. A time that a file gives
both ways has to be the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from totalflex_env.errors import DataError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dialect(StrEnum):
    """Whose names are written."""

    SPECIFICATION = "specification"
    AAU = "aau"


ALIASES = MappingProxyType(
    {
        "locationID": "locationId",
        "acceptanceBeforeTime": "acceptBeforeTime",
        "acceptanceBeforeInterval": "acceptBeforeInterval",
        "FlexOfferPriceConstraints": "flexOfferPriceConstraints",
        "flexOfferTariffConstraint": "flexOfferPriceConstraints",
        "tariffSlices": "priceSlices",
        "tariffConstraint": "priceConstraint",
        "minTariff": "minPrice",
        "maxTariff": "maxPrice",
        "minprice": "minPrice",
        "maxprice": "maxPrice",
        "tariff": "price",
        "lowerBound": "lower",
        "upperBound": "upper",
        "TotalEnergyConstraints": "totalEnergyConstraint",
        "totalEnergyConstraints": "totalEnergyConstraint",
        "SubTotalEnergyConstraints": "subTotalEnergyConstraint",
        "DependencyEnergyConstraintList": "dependencyEnergyConstraintList",
    }
)
"""Other names of fields, and the names that are used here."""

WRITTEN: Mapping[Dialect, dict[str, str]] = MappingProxyType(
    {
        Dialect.SPECIFICATION: {
            "locationId": "locationID",
            "dependencyEnergyConstraintList": "DependencyEnergyConstraintList",
        },
        Dialect.AAU: {
            "acceptBeforeTime": "acceptanceBeforeTime",
            "acceptBeforeInterval": "acceptanceBeforeInterval",
            "flexOfferPriceConstraints": "flexOfferTariffConstraint",
            "priceSlices": "tariffSlices",
            "priceConstraint": "tariffConstraint",
            "minPrice": "minTariff",
            "maxPrice": "maxTariff",
            "price": "tariff",
        },
    }
)

"""The names that a dialect has for fields that are called otherwise here."""

UNKNOWN_TO_AAU = ("totalEnergyConstraint", "subTotalEnergyConstraint", "dependencyEnergyConstraintList")
"""Constraints that AAU's manager does not read: without them an offer would promise too much."""

UNKNOWN_STATES = ("invalid", "canceled")

TIMES = ("creation", "acceptBefore", "assignmentBefore", "startAfter", "startBefore", "endAfter", "endBefore")


def canonical(value: Any, place: str) -> Any:
    """Return a JSON value with the names used here; a field under two of its names is a DataError."""
    if isinstance(value, list):
        return [canonical(one, f"{place}.{number}") for number, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    renamed: dict[str, Any] = {}
    for name, held in value.items():
        known = ALIASES.get(name, name)
        if known in renamed:
            raise DataError("flex-offer message", f"{place}.{name}", held, f"one of the names of {known}, not two")
        text = known == "state" and isinstance(held, str)
        renamed[known] = held.lower() if text else canonical(held, f"{place}.{name}")
    return renamed


def foreign(value: Any, dialect: Dialect) -> Any:
    """Return a JSON value with the names of a dialect, and states and empty lists as it has them."""
    if isinstance(value, list):
        return [foreign(one, dialect) for one in value]
    if not isinstance(value, dict):
        return value
    renamed: dict[str, Any] = {}
    name: str
    for name, held in value.items():
        if name == "dependencyEnergyConstraintList" and not held:
            continue
        if dialect is Dialect.AAU and name in UNKNOWN_TO_AAU:
            raise DataError("flex-offer message", name, held, "no such constraint: AAU's manager would not see it")
        written = WRITTEN[dialect].get(name, name)
        capital = dialect is Dialect.AAU and name == "state"
        if capital and held in UNKNOWN_STATES:
            raise DataError("flex-offer message", name, held, "a state that AAU's manager knows")
        renamed[written] = held.capitalize() if capital else foreign(held, dialect)
    return renamed


def restore_times(offer: dict[str, Any], place: str) -> dict[str, Any]:
    """Return a message with times in place of interval numbers; where it has both they must agree."""
    seconds = offer.get("numSecondsPerInterval", 900)
    restored = dict(offer)
    for name in TIMES:
        number = restored.pop(f"{name}Interval", None)
        if number is None:
            continue
        field = f"{place}.{name}Interval"
        if type(number) is not int or type(seconds) is not int:
            raise DataError("flex-offer message", field, number, "an interval number")
        begin = EPOCH + timedelta(seconds=number * seconds)
        given = restored.setdefault(f"{name}Time", begin.isoformat())
        if not begin <= _time(given, f"{place}.{name}Time") < begin + timedelta(seconds=seconds):
            raise DataError("flex-offer message", field, number, f"the interval of {name}Time, which is {given}")
    return restored


def with_intervals(offer: dict[str, Any]) -> dict[str, Any]:
    """Return a written message with the interval numbers of its times beside them."""
    numbers = {}
    for name in TIMES:
        if f"{name}Time" in offer:
            since = _time(offer[f"{name}Time"], name) - EPOCH
            numbers[f"{name}Interval"] = since // timedelta(seconds=offer["numSecondsPerInterval"])
    return {**offer, **numbers}


def _time(text: object, field: str) -> datetime:
    """Return an absolute time from its text in ISO 8601 with an offset."""
    try:
        time = datetime.fromisoformat(str(text))
        if time.tzinfo is None:
            raise ValueError("no offset from UTC")
    except ValueError as error:
        raise DataError(
            "flex-offer message", field, text, f"a date and time with its offset from UTC ({error})"
        ) from error
    return time
