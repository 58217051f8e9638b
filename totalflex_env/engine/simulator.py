"""The one object that lives: a world, an episode in it, and the slot it has come to."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import Controls, action
from totalflex_env.engine.step import situation, start, step, tell
from totalflex_env.tape.structure import Node
from totalflex_env.tape.taped import Taped
from totalflex_env.types import Action, Decision, Episode, Observation, Outcome, Policy, Situation, State

FEW_ROWS = 16
"""Up to so many rows it is faster to play a recording of a slot than to run it in torch."""


class Simulator:
    """Steps B copies of a world together; row i of the batch is the episode of seed i, whatever the other rows are.

    Few rows on the CPU are played from recordings (`totalflex_env.tape`), but for the first slot and the last, in
    which other things happen than between them.
    """

    def __init__(self, world: World, nominator: Policy) -> None:
        self.world = world
        self.nominator = nominator
        self.episode: Episode
        self.state: State
        self._situation: Situation | None = None  # of the present state, made once a slot
        fixed, nodes = (world.params,), dict[type, Node]()
        self.tell = Taped(functools.partial(tell, world.params), fixed, nodes)
        self.tapes = {function: Taped(function, fixed, nodes) for function in (step, observe, action)}

    def reset(self, seeds: Sequence[int]) -> Situation:
        """Draw one episode per seed, nominate, and return the situation before the first slot."""
        params = self.world.params
        self.episode = nominate(params, draw(self.world, seeds), self.nominator)
        self.state = start(params, self.episode)
        return self.situation()

    def situation(self) -> Situation:
        """Return what policies may use now."""
        if self._situation is None or self._situation.state is not self.state:
            params, slot = self.world.params, self.state.slot
            told = self.tell(slot, self.episode, self.state) if self._playable(slot) else None
            self._situation = situation(params, self.episode, self.state, told)
        return self._situation

    def observe(self, now: Situation) -> Observation:
        """Return what every role sees in a situation."""
        return self._run(observe, now.state.slot, now)  # type: ignore[no-any-return]

    def action(self, now: Situation, controls: Controls) -> Action:
        """Return the action that the controls stand for."""
        return self._run(action, now.state.slot, now, controls)  # type: ignore[no-any-return]

    def step(self, action: Action) -> tuple[Decision, Outcome]:
        """Advance by one slot."""
        now = self.situation()
        self.state, decision, outcome = self._run(step, now.state.slot, self.episode, now, action)
        return decision, outcome

    @property
    def done(self) -> bool:
        """Whether the episode has reached its last slot."""
        return self.state.slot >= self.episode.actual.spot.shape[1]

    def _playable(self, slot: int) -> bool:
        rows, slots = self.episode.actual.spot.shape
        return rows <= FEW_ROWS and 0 < slot < slots - 1 and self.world.params.house.device.type == "cpu"

    def _run(self, function: Any, slot: int, *records: Any) -> Any:
        return self.tapes[function](slot, *records) if self._playable(slot) else function(*records)
