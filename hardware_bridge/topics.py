"""Where messages are published: `tflex/v1/SITE/PARTY/CHANNEL`, a party being the bridge, the house or a device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from totalflex_env.errors import DataError

ROOT = "tflex/v1"
BRIDGE, HOUSE = "bridge", "house"
NAME = "[a-z0-9-]{1,32}"


class Channel(StrEnum):
    """What a message is about. Retained are descriptors and states, so that whoever comes late knows them."""

    STATUS = "status"  # bridge and house: ready, disconnected or lost; the last will
    HEARTBEAT = "hb"  # bridge: the clock
    DESCRIPTOR = "desc"  # device: what it is
    TELEMETRY = "tele"  # device: how it is, and what it metered
    COMMAND = "cmd"  # to a device
    ACKNOWLEDGEMENT = "ack"  # device: the answer to a command


@dataclass(frozen=True)
class Address:
    """The parts of a topic that tell where a message belongs."""

    site: str
    party: str
    channel: Channel


def topic(address: Address) -> str:
    """Return the topic of an address."""
    return f"{ROOT}/{address.site}/{address.party}/{address.channel.value}"


def parse(text: str) -> Address:
    """Return the address of a topic; a topic that is none of ours is a DataError."""
    *root, site, party, channel = text.split("/") if text.count("/") == 4 else ["", "", ""]
    known = "/".join(root) == ROOT and all(re.fullmatch(NAME, name) for name in (site, party))
    if not known or channel not in list(Channel):
        raise DataError("MQTT", "topic", text, f"{ROOT}/SITE/PARTY/CHANNEL with names of a-z, 0-9 and -")
    return Address(site, party, Channel(channel))


def for_bridge(site: str) -> tuple[str, ...]:
    """Return what the bridge subscribes to."""
    told = (Channel.STATUS, Channel.DESCRIPTOR, Channel.TELEMETRY, Channel.ACKNOWLEDGEMENT)
    return tuple(f"{ROOT}/{site}/+/{channel.value}" for channel in told)


def for_house(site: str) -> tuple[str, ...]:
    """Return what a house subscribes to."""
    return topic(Address(site, BRIDGE, Channel.HEARTBEAT)), f"{ROOT}/{site}/+/{Channel.COMMAND.value}"
