"""The one object that lives: a world, an episode in it, and the slot it has come to."""

from __future__ import annotations

from collections.abc import Sequence

from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.step import situation, start, step
from totalflex_env.types import Action, Decision, Episode, Outcome, Policy, Situation, State


class Simulator:
    """Steps B copies of a world together; row i of the batch is the episode of seed i, whatever the other rows are."""

    def __init__(self, world: World, nominator: Policy) -> None:
        self.world = world
        self.nominator = nominator
        self.episode: Episode
        self.state: State
        self._situation: Situation | None = None  # of the present state, made once a slot

    def reset(self, seeds: Sequence[int]) -> Situation:
        """Draw one episode per seed, nominate, and return the situation before the first slot."""
        params = self.world.params
        self.episode = nominate(params, draw(self.world, seeds), self.nominator)
        self.state = start(params, self.episode)
        return self.situation()

    def situation(self) -> Situation:
        """Return what policies may use now."""
        if self._situation is None or self._situation.state is not self.state:
            self._situation = situation(self.world.params, self.episode, self.state)
        return self._situation

    def step(self, action: Action) -> tuple[Decision, Outcome]:
        """Advance by one slot."""
        self.state, decision, outcome = step(self.episode, self.situation(), action)
        return decision, outcome

    @property
    def done(self) -> bool:
        """Whether the episode has reached its last slot."""
        return self.state.slot >= self.episode.actual.spot.shape[1]
