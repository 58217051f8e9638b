"""One accelerated day of a fake house under the bridge, beside the same day in the simulator."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hardware_bridge.broker import EmbeddedBroker
from hardware_bridge.client import Client, Packet, Presence
from hardware_bridge.compare import differences, largest
from hardware_bridge.config import BridgeConfig
from hardware_bridge.cycle import Cycle
from hardware_bridge.fake_house import House, Plan
from hardware_bridge.guard import Note
from hardware_bridge.house_service import HouseService
from hardware_bridge.link import Link
from hardware_bridge.messages import Status, encode
from hardware_bridge.topics import BRIDGE, Address, Channel, for_bridge, topic
from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Episode, Outcome, Policy


@dataclass(frozen=True)
class Run:
    """A day under the bridge, and how it got through."""

    outcomes: Outcome  # every tensor [1, T, ...]
    messages: int  # sent and received by the bridge
    resent: int
    refused: int  # unreadable messages, on both sides
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Report:
    """The comparison of the bridge with the simulator."""

    run: Run
    differences: dict[str, float]  # largest of every field of the outcomes
    largest: float
    agrees: bool  # the largest is within the tolerance
    bridge_seconds: float
    simulator_seconds: float


def compare(config: BridgeConfig, world: World, make_policy: Callable[[], Policy]) -> Report:
    """Run the same day on the bridge and in the simulator, each with a policy of its own."""
    episode = nominate(world.params, draw(world, [config.seed]), make_policy())
    begun = time.perf_counter()
    house = House(Plan(world.params, episode, config.fault))
    run = run_bridge(config, house, episode, make_policy())
    between = time.perf_counter()
    trace = rollout(world.params, episode, make_policy())
    ended = time.perf_counter()
    found = differences(run.outcomes, trace.outcomes)
    most = largest(found)
    return Report(run, found, most, most <= config.tolerance, between - begun, ended - between)


def run_bridge(config: BridgeConfig, house: House, episode: Episode, policy: Policy) -> Run:
    """Run a day with an embedded broker, a fake house and the control cycle, all of which end with it."""
    service = HouseService(house, config.site)
    names = [each.device_id for each in house.descriptors]
    with EmbeddedBroker(config.broker) as broker, service.serve(broker.address):
        client = Client(f"tflex-{config.site}-bridge", broker.address, for_bridge(config.site), _presence(config))
        with client:
            link = Link(client, config.site, config.link, names)
            cycle = Cycle(house.plan.params, episode, policy, link, config.epoch)
            outcomes = cycle.run()
    return Run(
        outcomes=outcomes,
        messages=client.sent + client.received,
        resent=link.resent,
        refused=link.refused + service.refused,
        notes=tuple(cycle.notes),
    )


def _presence(config: BridgeConfig) -> Presence:
    where = topic(Address(config.site, BRIDGE, Channel.STATUS))
    ready, gone, lost = (
        Packet(where, encode(Status(state, f"epoch-{config.epoch}"))) for state in ("ready", "disconnected", "lost")
    )
    return Presence(hello=(ready,), farewell=gone, will=lost)
