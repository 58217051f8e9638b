"""Learning by evolution strategies (Salimans et al. 2017, arXiv 1703.03864), starting from the scripted rule.

A generation is made of pairs of actors, perturbed in opposite directions. Both of a pair live through the same day,
each with its own nomination, so that weather and prices cancel out of the difference of their costs; the differences
say in which direction costs fall. What is minimised is exactly what evaluation measures.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from policies.config import TrainConfig, environment
from policies.measure import Measured, first_seed, measure
from policies.network import Actor, make_actor
from policies.run_folder import RunFolder
from policies.session import Session, State, Trained
from policies.workers import Map, workers
from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import AGGREGATOR_CONTROLS, action, neutral
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Action, Situation

ODD_DAY = 10.0
"""Differences of costs are cut at this many times their median size, so that one odd day cannot steer."""


@dataclass(frozen=True)
class Brood:
    """Some pairs of a generation: all that a process needs to try them."""

    env: EnvConfig
    measured: Measured
    hidden: tuple[int, ...]
    parameters: Tensor  # [W] of the actor that is perturbed
    deviation: float
    seeds: range  # of the days, one per pair
    noise_seed: int

    def noise(self) -> Tensor:
        """Return the directions [pairs, W] of the perturbations, the same in every process."""
        generator = torch.Generator().manual_seed(self.noise_seed)
        return torch.randn(len(self.seeds), len(self.parameters), generator=generator)


class Crowd:
    """One actor per row, all of the same shape."""

    def __init__(self, actor: Actor, parameters: Tensor) -> None:
        self.actor = actor
        self.parameters: dict[str, Tensor] = {}  # [B, ...]
        sizes = [parameter.numel() for parameter in actor.parameters()]
        for (name, parameter), part in zip(actor.named_parameters(), parameters.split(sizes, dim=1), strict=True):
            self.parameters[name] = part.reshape(-1, *parameter.shape)

    def reset(self, situation: Situation) -> None:
        """Nothing to forget."""

    def act(self, situation: Situation) -> Action:
        """Return the action of this slot."""
        features = observe(situation).aggregator
        controls = torch.vmap(functional_call, in_dims=(None, 0, 0))(self.actor, self.parameters, features)
        return action(situation, replace(neutral(situation.params, len(features)), aggregator=controls))


class Learner:
    """The parameters, and how they move."""

    def __init__(self, config: TrainConfig, measured: Measured) -> None:
        self.config, self.measured = config, measured
        self.env = environment(config.env, "train")
        self.actor = make_actor(measured.mean, measured.deviation, config.evolution.hidden, len(AGGREGATOR_CONTROLS))
        self.parameters = parameters_to_vector(self.actor.parameters()).detach()
        self.momentum = torch.zeros_like(self.parameters)
        self.generation = 0

    def improve(self, spread: Map, left: float) -> dict[str, float]:
        """Try one generation and take a step, shorter as less of the training is `left`; returns what to log."""
        settings, broods = self.config.evolution, self.broods()
        saved = torch.cat(list(spread(savings, broods)))
        cut = ODD_DAY * saved.abs().median()
        noise = torch.cat([brood.noise() for brood in broods])
        slope = (saved.clamp(-cut, cut)[:, None] * noise).mean(dim=0) / (2.0 * settings.deviation)
        self.momentum = settings.momentum * self.momentum + (1.0 - settings.momentum) * slope / slope.norm()
        self.parameters = self.parameters + settings.step * left * self.momentum
        self.generation += 1
        vector_to_parameters(self.parameters, self.actor.parameters())
        return {
            "evolution/slope_eur": float(slope.norm()),
            "evolution/difference_eur": float(saved.abs().median()),
            "evolution/parameters": float(self.parameters.norm()),
        }

    def broods(self) -> list[Brood]:
        """Return the next generation, in as many parts as there are processes."""
        settings = self.config.evolution
        first = first_seed(self.config.seed) + self.generation * settings.pairs
        bounds = [settings.pairs * part // settings.processes for part in range(settings.processes + 1)]
        return [
            Brood(
                env=self.env,
                measured=self.measured,
                hidden=settings.hidden,
                parameters=self.parameters,
                deviation=settings.deviation,
                seeds=range(first + begin, first + end),
                noise_seed=first + begin,
            )
            for begin, end in pairwise(bounds)
            if begin < end
        ]

    def state(self) -> State:
        """Return what `resume` goes on from."""
        return {"parameters": self.parameters, "momentum": self.momentum, "generation": self.generation}

    def resume(self, state: State) -> None:
        """Go on from a saved state."""
        self.parameters, self.momentum, self.generation = state["parameters"], state["momentum"], state["generation"]
        vector_to_parameters(self.parameters, self.actor.parameters())


def train(config: TrainConfig, run: RunFolder, resume: bool) -> Trained:
    """Learn until time or steps are up, or Ctrl-C, and return the policy that was best on the validation days."""
    torch.set_num_threads(1)
    env = environment(config.env, "train")
    with workers(config.evolution.processes) as spread:
        spread(warm_up, [env] * config.evolution.processes)  # the processes start while the rule is measured
        with Session(config, run) as session:
            learner = Learner(config, measure(world(env), config.seed))
            if resume:
                learner.resume(session.load())
            session.look(learner.actor, learner.state)
            while session.left > 0.0:
                session.log(learner.improve(spread, session.left))
                session.advance(2 * config.evolution.pairs * env.slots)
                session.look(learner.actor, learner.state)
            session.validate(learner.actor)
    return session.trained(learner.actor)


def savings(brood: Brood) -> Tensor:
    """Return by how much [pairs] EUR the first of each pair came through its day cheaper than the second."""
    here = world(brood.env)
    away = brood.deviation * brood.noise()
    actor = make_actor(brood.measured.mean, brood.measured.deviation, brood.hidden, len(AGGREGATOR_CONTROLS))
    crowd = Crowd(actor, torch.cat([brood.parameters + away, brood.parameters - away]))
    days = draw(here, brood.seeds)
    episode = batch.concatenate_rows([days, days])
    with torch.no_grad():
        cost = rollout(here.params, nominate(here.params, episode, crowd), crowd).cost()
    first, second = cost.chunk(2)
    return second - first


def warm_up(env: EnvConfig) -> None:
    """Build the world of this process before it is needed."""
    world(env)


@functools.cache
def world(env: EnvConfig) -> World:
    """Return the world of an environment, built once per process."""
    return build(env, torch.float32)
