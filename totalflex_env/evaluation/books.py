"""The books of a day as messages and meter readings, and the same bookings computed from those alone.

A log is text, one JSON object a line, all quantities whole: mWh, micro-EUR/kWh. Any party to it (a house, a DSO, an
auditor) replays it through the same settlement and gets every balance to the last micro-EUR; a dispute is the list of
entries in which two logs differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, StrictInt, TypeAdapter, ValidationError
from torch import Tensor

from totalflex_env import batch
from totalflex_env.engine.rollout import Trace
from totalflex_env.errors import DataError
from totalflex_env.market.settlement import Bookings, Delivery, Statement, book, ledger, statement
from totalflex_env.trade_types import Ledger
from totalflex_env.types import Episode, Params


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    slot: StrictInt = Field(ge=0)


class Prices(_Message):
    """What energy costs in a slot: known from the exchange, the imbalance settlement and the clearing."""

    kind: Literal["prices"] = "prices"
    spot: StrictInt
    up: StrictInt
    down: StrictInt
    balance_price: StrictInt
    grid_price: tuple[StrictInt, ...]  # of every house


class Nomination(_Message):
    """Net consumption that the balance responsible party bought day-ahead."""

    kind: Literal["nomination"] = "nomination"
    mwh: StrictInt


class Award(_Message):
    """The base of a house, agreed before the slot, and the deviation from it that the market bought."""

    kind: Literal["award"] = "award"
    house: StrictInt = Field(ge=0)
    base_mwh: StrictInt
    award_mwh: StrictInt


class Meter(_Message):
    """What a house consumed: its devices, and all else less its solar power."""

    kind: Literal["meter"] = "meter"
    house: StrictInt = Field(ge=0)
    devices_mwh: StrictInt
    fixed_mwh: StrictInt


class Wind(_Message):
    """What the wind park produced."""

    kind: Literal["wind"] = "wind"
    mwh: StrictInt


Message = Prices | Nomination | Award | Meter | Wind
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


@dataclass(frozen=True)
class Entry:
    """One booking: who paid whom how much for what, and the messages that it rests on."""

    slot: int
    purpose: str  # one of PARTIES
    house: int  # whose consumption it is about; 0 for wholesale, which is about all
    payer: str
    payee: str
    micro_eur: int  # a negative amount flows the other way
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Books:
    """What a log amounts to; a row for every slot."""

    bookings: Bookings  # [T, ...]
    ledger: Ledger  # [T, ...]
    entries: tuple[Entry, ...]  # every booking that is not zero


def statements(params: Params, episode: Episode, trace: Trace) -> Statement:
    """Return the statements of all slots of an episode, a row for every slot of every row [B * T, ...]."""
    actual = episode.actual
    delivery = Delivery(
        energy_kwh=trace.outcomes.energy_kwh,
        house_kwh=actual.base_kwh - actual.pv_kwh,
        wind_kwh=actual.wind_kwh,
        nomination_kwh=episode.nomination_kwh,
        spot=actual.spot,
        up=actual.up,
        down=actual.down,
    )
    return statement(params, _by_slot(trace.decisions), _by_slot(delivery))


def _by_slot(record: batch.Record) -> batch.Record:
    """A record of episodes [B, T, ...] as one of slots [B * T, ...]."""
    return batch.map_tensors(record, lambda tensor: tensor.flatten(0, 1))


def log(said: Statement, traded: bool) -> list[str]:
    """Return the log of statements [T, ...], one message a line; without a market there are no awards."""
    houses = range(said.metered.shape[1])
    table = {field.name: vars(said)[field.name].tolist() for field in fields(Statement)}
    lines: list[Message] = []
    for slot in range(len(said.metered)):
        at = {name: values[slot] for name, values in table.items()}
        prices = {name: at[name] for name in ("spot", "up", "down", "balance_price", "grid_price")}
        lines.append(Prices(id=f"prices-{slot}", slot=slot, **prices))
        lines.append(Nomination(id=f"nomination-{slot}", slot=slot, mwh=at["nomination"]))
        lines.append(Wind(id=f"wind-{slot}", slot=slot, mwh=at["wind"]))
        for house in houses:
            own = {"slot": slot, "house": house}
            read = {"devices_mwh": at["metered"][house], "fixed_mwh": at["fixed"][house]}
            lines.append(Meter(id=f"meter-{slot}-{house}", **own, **read))
            if traded:
                agreed = {"base_mwh": at["base"][house], "award_mwh": at["award"][house]}
                lines.append(Award(id=f"award-{slot}-{house}", **own, **agreed))
    return [json.dumps(line.model_dump()) for line in lines]


def replay(params: Params, lines: Iterable[str]) -> Books:
    """Return the books of a log, computed from its messages and the contract terms in `params` alone.

    A line that is no message, two messages of the same kind for the same slot and house, or one that is missing is a
    DataError with its line or name; nothing is filled in.
    """
    found = _collected(lines)
    said = _said(params, found)
    booked = book(params, said)
    return Books(booked, ledger(params, booked), tuple(_entries(params, booked, found)))


def disputes(ours: Books, theirs: Books) -> list[tuple[Entry | None, Entry | None]]:
    """Return the bookings in which two books differ, side by side; None where one of them has none."""
    keyed = [{(entry.slot, entry.purpose, entry.house): entry for entry in books.entries} for books in (ours, theirs)]
    pairs = [(keyed[0].get(key), keyed[1].get(key)) for key in sorted(keyed[0].keys() | keyed[1].keys())]
    return [(a, b) for a, b in pairs if a is None or b is None or a.micro_eur != b.micro_eur]


_Key = tuple[str, int, int]  # kind, slot, and house or -1


def _collected(lines: Iterable[str]) -> dict[_Key, Message]:
    found: dict[_Key, Message] = {}
    for number, line in enumerate(lines, 1):
        try:
            message = _MESSAGE.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "message"
            raise DataError(f"log, line {number}", field, first["input"], first["msg"]) from error
        house = message.house if isinstance(message, Award | Meter) else -1
        key = (message.kind, message.slot, house)
        if key in found:
            raise DataError(f"log, line {number}", "id", message.id, f"no second {message.kind} beside {found[key].id}")
        found[key] = message
    if not found:
        raise DataError("log", "messages", 0, "at least one")
    return found


def _said(params: Params, found: dict[_Key, Message]) -> Statement:
    """The statements [T, ...] that the messages make."""
    slots, houses = 1 + max(slot for _, slot, _ in found), len(params.node)

    def column(kind: str, field: str) -> Tensor:
        return torch.tensor([vars(_one(found, (kind, slot, -1)))[field] for slot in range(slots)])

    def table(kind: str, field: str) -> Tensor:
        rows = [[vars(_one(found, (kind, slot, house)))[field] for house in range(houses)] for slot in range(slots)]
        return torch.tensor(rows)

    for message in found.values():
        if isinstance(message, Prices) and len(message.grid_price) != houses:
            raise DataError(
                f"log, {message.id}", "grid_price", message.grid_price, f"a price for each of {houses} houses"
            )
    metered = table("meter", "devices_mwh")
    traded = any(kind == "award" for kind, _, _ in found)
    return Statement(
        base=table("award", "base_mwh") if traded else metered,
        award=table("award", "award_mwh") if traded else torch.zeros_like(metered),
        metered=metered,
        fixed=table("meter", "fixed_mwh"),
        wind=column("wind", "mwh"),
        nomination=column("nomination", "mwh"),
        spot=column("prices", "spot"),
        up=column("prices", "up"),
        down=column("prices", "down"),
        balance_price=column("prices", "balance_price"),
        grid_price=column("prices", "grid_price"),
    )


def _one(found: dict[_Key, Message], key: _Key) -> Message:
    if key not in found:
        kind, slot, house = key
        raise DataError("log", kind, "nothing", f"one for slot {slot}" + (f" and house {house}" if house >= 0 else ""))
    return found[key]


PARTIES = {
    "retail": ("house", "BRP"),
    "balance": ("aggregator", "BRP"),
    "grid": ("aggregator", "DSO"),
    "shared": ("house", "aggregator"),
    "penalty": ("aggregator", "BRP"),
    "wholesale": ("BRP", "world"),
}
"""Payer and payee of every kind of booking; a house pays, and is with, its own aggregator."""


def _entries(params: Params, booked: Bookings, found: dict[_Key, Message]) -> Iterator[Entry]:
    aggregator = params.aggregator.tolist()
    for purpose, parties in PARTIES.items():
        for slot, amounts in enumerate(vars(booked)[purpose].reshape(len(booked.wholesale), -1).tolist()):
            for house, amount in ((house, amount) for house, amount in enumerate(amounts) if amount):
                names = {"house": f"house {house}", "aggregator": f"aggregator {aggregator[house]}"}
                payer, payee = (names.get(party, party) for party in parties)
                yield Entry(slot, purpose, house, payer, payee, amount, _evidence(purpose, slot, house, found))


def _evidence(purpose: str, slot: int, house: int, found: dict[_Key, Message]) -> tuple[str, ...]:
    """The messages that a booking rests on."""
    keys = [("prices", slot, -1), ("meter", slot, house), ("award", slot, house)]
    if purpose == "wholesale":
        keys = [key for key in found if key[1] == slot and key[0] != "award"]
    return tuple(found[key].id for key in keys if key in found)
