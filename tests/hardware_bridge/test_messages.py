from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardware_bridge.messages import (
    MOST_BYTES,
    TYPES,
    Acknowledgement,
    ApplianceReading,
    Basis,
    Command,
    Descriptor,
    Heartbeat,
    Message,
    Session,
    Status,
    StorageReading,
    Telemetry,
    ThermalReading,
    Window,
    decode,
    encode,
)
from hardware_bridge.topics import Channel
from totalflex_env.errors import DataError

BASIS = Basis(boot_id="b00", seq=7)
STORAGE = StorageReading(stored_kwh=1.25, session=Session(arrival=3, departure=80, need_kwh=10.5))


def telemetry(reading: StorageReading | ThermalReading | ApplianceReading = STORAGE) -> Telemetry:
    return Telemetry("ev-0", "b00", 7, 7, 6_300_000, 0.1 + 0.2, reading, "ok", "ev-0-1-3")


MESSAGES: list[tuple[Channel, Message]] = [
    (Channel.DESCRIPTOR, Descriptor("battery-1", "battery", -4.0, 4.0, 8.0)),
    (Channel.TELEMETRY, telemetry()),
    (Channel.TELEMETRY, telemetry(StorageReading(stored_kwh=-1e-16, session=None))),
    (Channel.TELEMETRY, telemetry(ThermalReading(temperature_c=-17.9))),
    (Channel.TELEMETRY, telemetry(ApplianceReading(started=None, window=Window(ready=2, latest=9)))),
    (Channel.COMMAND, Command("ev-0-1-3", "ev-0", 1, 3, 7, 1 / 3, BASIS, 900_000)),
    (Channel.ACKNOWLEDGEMENT, Acknowledgement("ev-0-1-3", "ev-0", "b00", 1, 3, None, False)),
    (Channel.ACKNOWLEDGEMENT, Acknowledgement("ev-0-1-3", "ev-0", "b00", 1, 3, "old-epoch", True)),
    (Channel.STATUS, Status("lost", "b00")),
    (Channel.HEARTBEAT, Heartbeat(1, 95)),
]


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all fields of nested mappings, mappings included."""
    inner = (
        [leaf for key, each in value.items() for leaf in leaves(each, (*path, key))] if isinstance(value, dict) else []
    )
    return ([path] if path else []) + inner


def change(payload: bytes, path: tuple[str, ...], value: Any) -> bytes:
    data = json.loads(payload)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(data).encode()


EVERY_FIELD = [
    (channel, message, path) for channel, message in MESSAGES for path in leaves(json.loads(encode(message)))
]


@pytest.mark.parametrize(("channel", "message"), MESSAGES)
def test_a_message_survives_the_wire_bit_by_bit(channel: Channel, message: Message) -> None:
    assert decode(channel, encode(message)) == message


def test_every_kind_of_message_is_tried() -> None:
    assert {channel for channel, _ in MESSAGES} == set(Channel) == set(TYPES)


@given(st.floats(min_value=-1e4, max_value=1e4))
def test_energies_keep_every_bit(energy: float) -> None:
    command = msgspec.structs.replace(MESSAGES[5][1], energy_kwh=energy)
    again = decode(Channel.COMMAND, encode(command))
    assert isinstance(again, Command) and again.energy_kwh.hex() == energy.hex()


@pytest.mark.parametrize(("channel", "message", "path"), EVERY_FIELD)
def test_a_field_takes_no_value_of_another_kind(channel: Channel, message: Message, path: tuple[str, ...]) -> None:
    """NaN, infinity, lists, truth values, long or odd text, numbers out of range and objects, in every field."""
    for wrong in (math.nan, math.inf, [], True, "A b\n", "x" * 1000, 2**60, -2, {"x": 1}):
        if (wrong is True and path == ("duplicate",)) or (wrong == -2 and path[-1] in SIGNED):
            continue
        with pytest.raises(DataError):
            decode(channel, change(encode(message), path, wrong))


SIGNED = ("energy_kwh", "lower_kw", "upper_kw", "temperature_c")


@pytest.mark.parametrize(("channel", "message", "path"), EVERY_FIELD)
def test_a_message_has_all_its_fields_and_no_others(channel: Channel, message: Message, path: tuple[str, ...]) -> None:
    *parents, last = path
    data = json.loads(encode(message))
    place = data
    for key in parents:
        place = place[key]
    place["unknown"] = place[last]
    with pytest.raises(DataError, match="unknown"):
        decode(channel, json.dumps(data).encode())
    del place["unknown"], place[last]
    if last not in ("v", "fallback"):
        with pytest.raises(DataError):
            decode(channel, json.dumps(data).encode())


@pytest.mark.parametrize("energy", [math.nan, math.inf, -math.inf, 1e9])
def test_a_number_that_would_be_refused_is_not_sent(energy: float) -> None:
    with pytest.raises(DataError, match="energy_kwh"):
        encode(msgspec.structs.replace(MESSAGES[5][1], energy_kwh=energy))


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_another_version_is_refused(version: Any) -> None:
    with pytest.raises(DataError, match="v = "):
        decode(Channel.HEARTBEAT, change(encode(Heartbeat(1, 2)), ("v",), version))


def test_a_long_message_is_refused_unread() -> None:
    with pytest.raises(DataError, match=f"at most {MOST_BYTES}"):
        decode(Channel.HEARTBEAT, b" " * MOST_BYTES + encode(Heartbeat(1, 2)))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(Channel))
@example(b'{"epoch":1,"slot":1e400}', Channel.HEARTBEAT)
@example(b'{"state":"\xff","boot_id":"a"}', Channel.STATUS)
@example(b"[" * 10_000, Channel.HEARTBEAT)
@example(b'{"energy_kwh":' + b"[" * 10_000, Channel.COMMAND)
@example(b"\xef\xbb\xbf{}", Channel.HEARTBEAT)
def test_noise_is_refused_and_nothing_else_happens(payload: bytes, channel: Channel) -> None:
    with pytest.raises(DataError) as error:
        decode(channel, payload)
    assert len(str(error.value).splitlines()) == 1
