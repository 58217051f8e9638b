"""Clients and the embedded broker, on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hardware_bridge.broker import EmbeddedBroker
from hardware_bridge.client import Client, LinkError, Packet, Presence
from hardware_bridge.config import BrokerConfig

WAIT_S = 5.0


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(BrokerConfig()) as running:
        yield running


def client(broker: EmbeddedBroker, name: str, *subscriptions: str) -> Client:
    where = f"presence/{name}"
    ready, gone, lost = (Packet(where, state) for state in (b"ready", b"gone", b"lost"))
    return Client(name, broker.address, subscriptions or ("nothing",), Presence((ready,), gone, lost))


def test_messages_arrive_once_and_in_order(broker: EmbeddedBroker) -> None:
    with client(broker, "a", "x/+/y") as reader, client(broker, "b") as writer:
        sent = [Packet("x/1/y", str(number).encode()) for number in range(100)]
        for packet in sent:
            writer.publish(packet)
        writer.publish(Packet("x/1/z", b"for nobody"))
        assert [reader.receive(WAIT_S) for _ in sent] == sent
        assert reader.receive(0.1) is None
        assert (reader.received, reader.dropped) == (100, 0)


def test_who_comes_late_knows_who_is_there_and_who_left(broker: EmbeddedBroker) -> None:
    with client(broker, "a"), client(broker, "b", "presence/a") as reader:
        assert reader.receive(WAIT_S) == Packet("presence/a", b"ready")
    with client(broker, "c", "presence/a") as reader:
        assert reader.receive(WAIT_S) == Packet("presence/a", b"gone")


def test_a_broken_connection_is_told_and_comes_back(broker: EmbeddedBroker) -> None:
    with client(broker, "a", "x") as fragile, client(broker, "b", "presence/a") as reader:
        connection = fragile._paho.socket()
        assert isinstance(connection, socket.socket)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert reader.receive(WAIT_S) == Packet("presence/a", b"ready")
        connection.shutdown(socket.SHUT_RDWR)
        assert reader.receive(WAIT_S) == Packet("presence/a", b"lost")
        assert reader.receive(WAIT_S) == Packet("presence/a", b"ready")
        reader.publish(Packet("x", b"still there?"))
        # The broker may first send what it retains for others: amqtt does so to everybody who connects.
        heard = iter(lambda: fragile.receive(WAIT_S), None)
        assert next(packet for packet in heard if packet.topic == "x").payload == b"still there?"


def test_the_broker_serves_the_loopback_interface_only(broker: EmbeddedBroker) -> None:
    host, port = broker.address
    assert host == "127.0.0.1"
    with socket.socket() as other:
        other.settimeout(1.0)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"broker 127.0.0.1:{port}: "), EmbeddedBroker(BrokerConfig(port=port)):
            pass


def test_no_broker_is_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
        nobody = Packet("x", b"")
        with pytest.raises(LinkError, match="refused"), Client("a", address, ("x",), Presence((), nobody, nobody)):
            pass
