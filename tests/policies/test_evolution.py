"""Evolution strategies against brute force on `tiny`, and on a bowl whose bottom is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from policies.config import EvolutionConfig, TrainConfig, environment
from policies.evolution import Brood, Crowd, Learner, savings, world
from policies.learned import LearnedPolicy
from policies.measure import Measured, measure
from policies.network import make_actor
from totalflex_env.engine.build import draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import AGGREGATOR_FEATURES
from totalflex_env.engine.roles import AGGREGATOR_CONTROLS
from totalflex_env.engine.rollout import rollout

ENV = environment("tiny", "train")
FEATURES, CONTROLS = len(AGGREGATOR_FEATURES), len(AGGREGATOR_CONTROLS)


def config(**changes: Any) -> TrainConfig:
    settings = {"pairs": 8, "processes": 1} | changes
    return TrainConfig(name="quick", env="tiny", evolution=EvolutionConfig(**settings), out=Path("unused"))


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(world(ENV), 0)


def brood(measured: Measured, hidden: tuple[int, ...]) -> Brood:
    actor = make_actor(measured.mean, measured.deviation, hidden, CONTROLS)
    parameters = parameters_to_vector(actor.parameters()).detach()
    return Brood(ENV, measured, hidden, parameters, deviation=1.0, seeds=range(50, 53), noise_seed=7)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_savings_are_those_of_each_pair_on_its_own(measured: Measured, hidden: tuple[int, ...]) -> None:
    some = brood(measured, hidden)
    params = world(ENV).params
    expected = []
    for seed, direction in zip(some.seeds, some.noise()):
        costs = []
        for sign in (1.0, -1.0):
            actor = make_actor(measured.mean, measured.deviation, hidden, CONTROLS)
            vector_to_parameters(some.parameters + sign * some.deviation * direction, actor.parameters())
            policy = LearnedPolicy(actor)
            episode = nominate(params, draw(world(ENV), [seed]), policy)
            costs.append(float(rollout(params, episode, policy).cost()))
        expected.append(costs[1] - costs[0])
    found = savings(some)
    assert found.abs().max() > 1e-3
    torch.testing.assert_close(found, torch.tensor(expected), atol=2e-5, rtol=0.0)


def test_a_crowd_of_equal_actors_is_that_actor(measured: Measured) -> None:
    actor = make_actor(measured.mean, measured.deviation, (5,), CONTROLS)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(len(parameters_to_vector(actor.parameters())), generator=generator)
    vector_to_parameters(parameters, actor.parameters())
    params, episode = world(ENV).params, draw(world(ENV), [1, 2])
    one = rollout(params, episode, LearnedPolicy(actor)).cost()
    with torch.no_grad():
        many = rollout(params, episode, Crowd(actor, parameters.expand(2, -1))).cost()
    torch.testing.assert_close(one, many)


class Bowl:
    """A map that returns the savings of a quadratic cost around `bottom` instead of running days."""

    def __init__(self, bottom: Tensor) -> None:
        self.bottom = bottom

    def cost(self, parameters: Tensor) -> Tensor:
        return (parameters - self.bottom).square().sum(dim=-1)

    def __call__(self, function: Callable[..., Any], items: Iterable[Any], /) -> Iterator[Any]:
        assert function is savings
        for item in items:
            away = item.deviation * item.noise()
            yield self.cost(item.parameters - away) - self.cost(item.parameters + away)


def bowl(learner: Learner) -> Bowl:
    return Bowl(0.5 * torch.randn(len(learner.parameters), generator=torch.Generator().manual_seed(3)))


def test_a_learner_walks_to_the_bottom_of_a_bowl(measured: Measured) -> None:
    learner = Learner(config(pairs=64, step=1.0), measured)
    spread = bowl(learner)
    before = spread.cost(learner.parameters)
    for generation in range(60):
        learner.improve(spread, 1.0 - generation / 60)
    assert spread.cost(learner.parameters) < 0.05 * before


def test_a_resumed_learner_goes_on_as_if_nothing_had_happened(measured: Measured) -> None:
    straight, stopped, resumed = (Learner(config(processes=2), measured) for _ in range(3))
    spread = bowl(straight)
    for learner in (straight, stopped):
        learner.improve(spread, 0.9)
    resumed.resume(stopped.state())
    for learner in (straight, resumed):
        learner.improve(spread, 0.8)
    assert torch.equal(straight.parameters, resumed.parameters)
    assert torch.equal(parameters_to_vector(resumed.actor.parameters()), resumed.parameters)


def test_generations_and_processes_use_days_and_noise_of_their_own(measured: Measured) -> None:
    learner = Learner(config(pairs=7, processes=3), measured)
    first = learner.broods()
    learner.generation += 1
    second = learner.broods()
    days = [seed for some in first + second for seed in some.seeds]
    assert days == list(range(days[0], days[0] + 14))
    noise = torch.cat([some.noise() for some in first + second])
    assert len(torch.unique(noise, dim=0)) == 14


def test_an_odd_day_does_not_steer(measured: Measured) -> None:
    """One difference of a million moves the parameters no further than one of ten times the median."""
    learner = Learner(config(pairs=64, momentum=0.0), measured)
    usual = torch.linspace(-1.0, 1.0, 64)
    odd = usual.clone()
    odd[5] = 1e6

    def spread(_: Callable[..., Any], items: Iterable[Any], /) -> Iterator[Any]:
        assert len(list(items)) == 1
        yield odd

    slope = learner.improve(spread, 1.0)["evolution/slope_eur"]
    [some] = replace_generation(learner)
    odd[5] = 10.0 * odd.abs().median()
    clipped = (odd[:, None] * some.noise()).mean(dim=0) / (2.0 * some.deviation)
    assert slope == pytest.approx(float(clipped.norm()), rel=1e-5)


def replace_generation(learner: Learner) -> list[Brood]:
    """The broods of the generation that has just been tried."""
    learner.generation -= 1
    return [replace(some) for some in learner.broods()]
