"""The session keeps the best policy, also when Ctrl-C ends the training, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from policies.config import TrainConfig
from policies.learned import LearnedPolicy
from policies.network import Actor, make_actor
from policies.run_folder import RunFolder, read_curve
from policies.session import Session
from policies.validation import Validator
from totalflex_env.engine.observe import AGGREGATOR_FEATURES
from totalflex_env.engine.roles import AGGREGATOR_CONTROLS
from totalflex_env.errors import DataError
from totalflex_env.types import Policy


def actor(bias: float) -> Actor:
    features = len(AGGREGATOR_FEATURES)
    made = make_actor(torch.zeros(features), torch.ones(features), (), len(AGGREGATOR_CONTROLS))
    torch.nn.init.constant_(made.head.bias, bias)
    return made


def costs_its_bias(_: Validator, policy: Policy) -> float:
    assert isinstance(policy, LearnedPolicy)
    return float(policy.actor.head.bias[0].detach())


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setattr(Validator, "cost", costs_its_bias)
    made = TrainConfig(name="quick", env="tiny", out=tmp_path / "quick", time_limit_s=1000.0)
    RunFolder(made.out).start(made)
    return made


def test_the_best_policy_is_kept_not_the_last(config: TrainConfig) -> None:
    with Session(config, RunFolder(config.out)) as session:
        for cost in (3.0, 1.0, 2.0):
            session.advance(96)
            session.validate(actor(cost))
    trained = session.trained(actor(9.0))
    assert trained.actor.head.bias[0] == 1.0
    assert (trained.rule_cost_eur, trained.validation_cost_eur) == (3.0, 1.0)
    assert not trained.interrupted
    curve = read_curve(RunFolder(config.out).training)
    assert [(point.steps, point.validation_cost_eur) for point in curve] == [(96, 3.0), (192, 1.0), (288, 2.0)]


def test_ctrl_c_ends_the_training_and_keeps_the_best_policy(config: TrainConfig) -> None:
    with Session(config, RunFolder(config.out)) as session:
        session.validate(actor(3.0))
        raise KeyboardInterrupt
    assert session.trained(actor(9.0)).interrupted
    assert session.trained(actor(9.0)).validation_cost_eur == 3.0


def test_ctrl_c_before_there_is_a_policy_is_no_training(config: TrainConfig) -> None:
    with pytest.raises(KeyboardInterrupt), Session(config, RunFolder(config.out)):
        raise KeyboardInterrupt


def test_a_session_goes_on_where_it_was_stopped(config: TrainConfig) -> None:
    with Session(config, RunFolder(config.out)) as before:
        before.advance(192)
        before.validate(actor(3.0))
        before.save({"weights": torch.tensor([1.0, 2.0])})
    with Session(config, RunFolder(config.out)) as after:
        state = after.load()
        assert torch.equal(state["weights"], torch.tensor([1.0, 2.0]))
        assert (after.steps, after.curve) == (192, before.curve)
        assert after.seconds >= before.curve[-1].seconds
        after.validate(actor(4.0))
    assert after.trained(actor(9.0)).validation_cost_eur == 3.0


def test_a_broken_state_is_refused(config: TrainConfig) -> None:
    RunFolder(config.out).state.write_bytes(b"no state")
    with Session(config, RunFolder(config.out)) as session, pytest.raises(DataError, match=r"state\.pt: state"):
        session.load()


def test_the_training_ends_with_its_time_or_its_steps(config: TrainConfig) -> None:
    short = config.model_copy(update={"total_steps": 200})
    with Session(short, RunFolder(config.out)) as session:
        session.advance(100)
        assert 0.4 < session.left <= 0.5
        session.advance(150)
        assert session.left == 0.0
    slow = config.model_copy(update={"time_limit_s": 1e-6})
    with Session(slow, RunFolder(config.out)) as session:
        assert session.left == 0.0
