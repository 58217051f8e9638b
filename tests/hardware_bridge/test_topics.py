from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware_bridge.topics import Address, Channel, for_bridge, for_house, parse, topic
from totalflex_env.errors import DataError

NAMES = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)


def matches(subscription: str, text: str) -> bool:
    """The rule of MQTT for subscriptions with '+' as a whole level."""
    wanted, levels = subscription.split("/"), text.split("/")
    return len(wanted) == len(levels) and all(a in ("+", b) for a, b in zip(wanted, levels))


@given(st.builds(Address, NAMES, NAMES, st.sampled_from(Channel)))
def test_an_address_survives_its_topic(address: Address) -> None:
    assert parse(topic(address)) == address


def test_the_tree() -> None:
    assert topic(Address("home", "ev-0", Channel.COMMAND)) == "tflex/v1/home/ev-0/cmd"
    assert topic(Address("home", "bridge", Channel.HEARTBEAT)) == "tflex/v1/home/bridge/hb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tflex/v2/home/ev-0/cmd",
        "tflex/v1/home/ev-0",
        "tflex/v1/home/ev-0/cmd/now",
        "tflex/v1/home/ev-0/command",
        "tflex/v1/home/EV/cmd",
        "tflex/v1//ev-0/cmd",
        "tflex/v1/home/+/cmd",
        "tflex/v1/home/ev-0\n/cmd",
        f"tflex/v1/home/{'x' * 33}/cmd",
    ],
)
def test_other_topics_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="topic"):
        parse(text)


@pytest.mark.parametrize(
    ("party", "channel", "by_bridge", "by_house"),
    [
        ("ev-0", Channel.TELEMETRY, True, False),
        ("ev-0", Channel.ACKNOWLEDGEMENT, True, False),
        ("ev-0", Channel.DESCRIPTOR, True, False),
        ("house", Channel.STATUS, True, False),
        ("ev-0", Channel.COMMAND, False, True),
        ("bridge", Channel.HEARTBEAT, False, True),
    ],
)
def test_each_side_hears_what_is_for_it(party: str, channel: Channel, by_bridge: bool, by_house: bool) -> None:
    own, others = topic(Address("home", party, channel)), topic(Address("elsewhere", party, channel))
    assert any(matches(each, own) for each in for_bridge("home")) == by_bridge
    assert any(matches(each, own) for each in for_house("home")) == by_house
    assert not any(matches(each, others) for each in (*for_bridge("home"), *for_house("home")))
