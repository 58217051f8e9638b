"""The bridge against the simulator, over a real broker on the loopback interface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor

from hardware_bridge.__main__ import main
from hardware_bridge.client import LinkError
from hardware_bridge.compare import differences, largest
from hardware_bridge.config import BridgeConfig, LinkConfig
from hardware_bridge.demo import Run, compare, run_bridge
from hardware_bridge.fake_house import House, Plan
from hardware_bridge.guard import Reason
from hardware_bridge.messages import Acknowledgement, Command, Heartbeat, Telemetry
from policies import checkpoint
from policies.network import make_actor
from totalflex_env.engine.build import World
from totalflex_env.engine.observe import AGGREGATOR_FEATURES
from totalflex_env.engine.roles import AGGREGATOR_CONTROLS, ScriptedPolicy
from totalflex_env.engine.rollout import rollout
from totalflex_env.errors import DataError
from totalflex_env.types import Action, Episode, Outcome, Situation

CONFIG = BridgeConfig(env="tiny")
PATIENT = LinkConfig(resend_s=0.2, timeout_s=10.0)
SLOTS, DEVICES = 4, 5


@pytest.fixture(scope="module")
def simulated(world: World, episode: Episode) -> Outcome:
    return rollout(world.params, episode, ScriptedPolicy()).outcomes


class BrokenPolicy:
    """Asks for what is no number in the second slot."""

    def reset(self, situation: Situation) -> None:
        pass

    def act(self, situation: Situation) -> Action:
        action = ScriptedPolicy().act(situation)
        nothing = torch.nan if situation.state.slot == 1 else 0.0
        return replace(action, target_kwh=action.target_kwh + nothing)


class Forgetful(House):
    """Loses the first copy of every message, in both directions."""

    def __init__(self, plan: Plan) -> None:
        self.seen: set[str] = set()
        super().__init__(plan)

    def heartbeat(self, heartbeat: Heartbeat) -> tuple[Telemetry, ...]:
        if self.first(f"slot {heartbeat.slot}"):
            return ()
        answers = super().heartbeat(heartbeat)
        return () if self.first(f"report {heartbeat.slot}") else answers

    def first(self, what: str) -> bool:
        return what not in self.seen and not self.seen.add(what)


class Liar(House):
    """Its battery reports what it was told and does not charge."""

    def heartbeat(self, heartbeat: Heartbeat) -> tuple[Telemetry, ...]:
        reports = super().heartbeat(heartbeat)
        return tuple(
            msgspec.structs.replace(each, reading=msgspec.structs.replace(each.reading, stored_kwh=4.0))
            if each.device_id == "battery-1"
            else each
            for each in reports
        )


class Uncertain(House):
    """Its battery does not trust its own sensor."""

    def heartbeat(self, heartbeat: Heartbeat) -> tuple[Telemetry, ...]:
        reports = super().heartbeat(heartbeat)
        return tuple(
            msgspec.structs.replace(each, quality="stale") if each.device_id == "battery-1" else each
            for each in reports
        )


class Deaf(House):
    """Its battery never answers."""

    def command(self, command: Command) -> Acknowledgement:
        answer = super().command(command)
        return msgspec.structs.replace(answer, cmd_id="another") if command.device_id == "battery-1" else answer


def run(house: House, episode: Episode, link: LinkConfig = PATIENT) -> Run:
    return run_bridge(CONFIG.model_copy(update={"link": link}), house, episode, ScriptedPolicy())


def test_the_bridge_equals_the_simulator(world: World) -> None:
    report = compare(CONFIG, world, ScriptedPolicy)
    assert report.agrees and report.largest <= 1e-9
    assert (report.run.notes, report.run.refused) == ((), 0)
    exchanged = (SLOTS + 1) * (1 + DEVICES) + SLOTS * 2 * DEVICES
    around = DEVICES + 10  # descriptors, and who is there
    repeated = report.run.resent * 2 * DEVICES
    assert exchanged <= report.run.messages <= exchanged + around + repeated


def test_what_concerns_devices_comes_from_their_telemetry_alone(
    world: World, episode: Episode, simulated: Outcome
) -> None:
    """A bridge whose own records of sessions, programmes, stored energy and warmth are wrong does not notice."""
    actual, (sessions, climate, windows) = episode.actual, episode.actual.habits
    lost = replace(
        sessions,
        arrival=sessions.arrival + 2,
        departure=sessions.departure - 1,
        need_kwh=sessions.need_kwh + torch.nan,
        stored_kwh=sessions.stored_kwh + torch.nan,
    )
    unknown = replace(windows, ready=windows.ready + 1, latest=windows.latest - 1)
    wrong = replace(actual, habits=(lost, replace(climate, start=climate.start + torch.nan), unknown))
    outcomes = run(House(Plan(world.params, episode)), replace(episode, actual=wrong)).outcomes
    assert largest(differences(outcomes, simulated)) <= 1e-9


def test_lost_messages_are_asked_for_again(world: World, episode: Episode, simulated: Outcome) -> None:
    done = run(Forgetful(Plan(world.params, episode)), episode)
    assert largest(differences(done.outcomes, simulated)) <= 1e-9
    assert done.resent >= 2 * (SLOTS + 1)


def test_a_command_executed_wrongly_is_found(world: World) -> None:
    config = BridgeConfig.model_validate({"env": "tiny", "fault": {"device": "ev-0", "slot": 1, "scale": 0.5}})
    report = compare(config, world, ScriptedPolicy)
    assert not report.agrees
    assert report.differences["energy_kwh"] == pytest.approx(0.5, abs=0.01)
    assert [(note.slot, note.device, note.reason) for note in report.run.notes] == [(1, "ev-0", Reason.DEVIATED)]


def test_a_state_that_does_not_follow_from_the_meter_is_found(
    world: World, episode: Episode, simulated: Outcome
) -> None:
    assert largest(differences(run(Liar(Plan(world.params, episode)), episode).outcomes, simulated)) > 1e-3


def test_a_device_that_is_not_trusted_is_left_to_its_own_controller(world: World, episode: Episode) -> None:
    done = run(Uncertain(Plan(world.params, episode)), episode)
    assert {(note.slot, note.device, note.reason) for note in done.notes} == {
        (slot, "battery-1", Reason.NOT_TRUSTED) for slot in range(SLOTS)
    }
    assert not done.outcomes.energy_kwh[0, :, 1].any()


def test_a_policy_that_breaks_leaves_the_devices_to_their_own_controllers(world: World, episode: Episode) -> None:
    done = run_bridge(CONFIG, House(Plan(world.params, episode)), episode, BrokenPolicy())
    assert [(note.slot, note.reason) for note in done.notes] == [(1, Reason.POLICY)]
    assert all(bool(value.isfinite().all()) for value in vars(done.outcomes).values() if isinstance(value, Tensor))


def test_a_device_that_does_not_answer_is_named(world: World, episode: Episode) -> None:
    house = Deaf(Plan(world.params, episode))
    with pytest.raises(LinkError, match=r"no acknowledgement within 1 s from battery-1; the house is ready"):
        run(house, episode, LinkConfig(resend_s=0.4, timeout_s=1.0))


def test_a_device_that_is_another_is_named(world: World, episode: Episode) -> None:
    house = House(Plan(world.params, episode))
    house.descriptors = tuple(msgspec.structs.replace(each, upper_kw=9.0) for each in house.descriptors)
    with pytest.raises(DataError, match=r"ev-0: upper_kw = 9.0: expected 4.0"):
        run(house, episode)


def test_the_program_ends_with_0_1_or_2(env_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", f"--env={env_file}"]
    assert main(arguments) == 0
    output = capfd.readouterr()
    assert "bridge and simulator agree: largest difference 0, allowed 1e-06" in output.out
    assert output.err == ""
    assert main([*arguments, "--fault.device=ev-0", "--fault.slot=1"]) == 1
    output = capfd.readouterr()
    assert "DISAGREE" in output.out and "note: slot 1, ev-0: the device metered something else" in output.out


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("--broker.host=0.0.0.0", "broker.host = 0.0.0.0: expected 127.0.0.1"),
        ("--sead=3", "sead = 3: expected a known key, the nearest is 'seed'"),
        ("--seed=-1", "seed = -1: expected greater than or equal to 0"),
        ("--env=nowhere", "name = nowhere"),
        ("--policy=nobody", "policy = nobody: expected"),
        ("--policy=./nothing", "nothing/policy.json"),
    ],
)
def test_bad_input_is_one_line(env_file: Path, capfd: pytest.CaptureFixture[str], wrong: str, line: str) -> None:
    assert main(["demo", f"--env={env_file}", wrong]) == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1 and line in output.err


def test_a_trained_policy_is_a_folder(env_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    features, controls = len(AGGREGATOR_FEATURES), len(AGGREGATOR_CONTROLS)
    actor = make_actor(torch.zeros(features), torch.ones(features), (8,), controls)
    provenance = checkpoint.Provenance(
        revision="unknown",
        versions={},
        config={},
        config_hash="",
        env_hash="",
        seed=0,
        steps=0,
        seconds=0.0,
        validation_cost_eur=0.0,
        rule_cost_eur=0.0,
    )
    checkpoint.save(tmp_path, actor, checkpoint.card_of("trained", actor, provenance))
    assert main(["demo", f"--env={env_file}", "--policy", str(tmp_path)]) == 0
    assert "bridge and simulator agree" in capfd.readouterr().out


def test_a_day_of_the_house_equals_the_simulator(capfd: pytest.CaptureFixture[str]) -> None:
    """The command that the documentation shows, on the real grid."""
    assert main(["demo"]) == 0
    output = capfd.readouterr()
    assert "house, seed 1, policy scripted: 96 slots" in output.out
    assert output.err == ""
