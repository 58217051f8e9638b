"""What every training shares: its clock, the progress bar, validation, the policy that is kept, and saved states."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from policies.config import TrainConfig, environment
from policies.learned import LearnedPolicy
from policies.network import Actor
from policies.run_folder import CurvePoint, RunFolder, write_curve
from policies.validation import Validator
from totalflex_env.errors import DataError

State = dict[str, Any]
"""Tensors, numbers, texts, and lists and dictionaries of them: what torch.load reads with weights_only."""


@dataclass(frozen=True)
class Trained:
    """The policy that was kept, and how it was found."""

    actor: Actor
    steps: int  # slots over all copies
    seconds: float
    rule_cost_eur: float  # mean per validation day
    validation_cost_eur: float
    interrupted: bool  # by Ctrl-C


class Session:
    """One training of a policy, over any number of interruptions and resumptions."""

    def __init__(self, config: TrainConfig, run: RunFolder) -> None:
        self.config, self.run = config, run
        self.curve: list[CurvePoint] = []
        self.best: dict[str, Tensor] = {}
        self.steps = 0
        self.interrupted = False
        self._begun = time.monotonic()
        self._validated = self._saved = 0.0
        days = range(config.validation.first_seed, config.validation.first_seed + config.validation.days)
        self._validator = Validator(environment(config.env, "validation"), days)
        self._events = SummaryWriter(str(run.training))
        self._whole = round(config.time_limit_s)
        self._bar = tqdm(
            total=self._whole,
            desc=f"training {config.name}",
            unit="s",
            bar_format="{l_bar}{bar}| {n}/{total} s{postfix}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Close the bar and the events; Ctrl-C only ends the training."""
        self._bar.close()
        self._events.close()
        self.interrupted = kind is KeyboardInterrupt and bool(self.curve)
        return self.interrupted

    @property
    def seconds(self) -> float:
        """Training time so far, that before a resumption included."""
        return time.monotonic() - self._begun

    @property
    def left(self) -> float:
        """Share of the training that is left, by time or by steps, whichever ends first; 0 at the end."""
        time_left = 1.0 - self.seconds / self.config.time_limit_s
        return max(0.0, min(time_left, 1.0 - self.steps / self.config.total_steps))

    def advance(self, steps: int) -> None:
        """Count steps and move the bar."""
        self.steps += steps
        self._bar.update(min(round(self.seconds), self._whole) - self._bar.n)

    def look(self, actor: Actor, state: Callable[[], State]) -> None:
        """Validate the actor and save the trainer's state, each if its time has come."""
        if not self.curve or self.seconds - self._validated >= self.config.validation.every_s:
            self.validate(actor)
        if self.seconds - self._saved >= self.config.checkpoint_every_s:
            self.save(state())

    def validate(self, actor: Actor) -> None:
        """Try the actor on the validation days and keep it unless an earlier one was as good."""
        cost = self._validator.cost(LearnedPolicy(actor))
        if not self.curve or cost < self.best_cost_eur:
            self.best = {name: tensor.detach().clone() for name, tensor in actor.state_dict().items()}
        self._validated = self.seconds
        self.curve.append(CurvePoint(round(self._validated, 3), self.steps, cost))
        write_curve(self.run.training, self.curve)
        self.log({"validation/cost_eur": cost, "validation/best_cost_eur": self.best_cost_eur})
        rule = self.curve[0].validation_cost_eur
        self._bar.set_postfix_str(f"best {self.best_cost_eur:.3f} EUR/day, scripted rule {rule:.3f}")

    @property
    def best_cost_eur(self) -> float:
        """Mean cost per validation day of the policy that is kept."""
        return min(point.validation_cost_eur for point in self.curve)

    def log(self, values: dict[str, float]) -> None:
        """Write values to tensorboard."""
        for name, value in values.items():
            self._events.add_scalar(name, value, self.steps)

    def save(self, state: State) -> None:
        """Write the state to resume from, whole or not at all."""
        own = {
            "steps": self.steps,
            "seconds": self.seconds,
            "best": self.best,
            "curve": [asdict(point) for point in self.curve],
        }
        unfinished = self.run.state.with_suffix(".tmp")
        torch.save({"session": own, "trainer": state}, unfinished)
        os.replace(unfinished, self.run.state)
        self._saved = self.seconds

    def load(self) -> State:
        """Go on from the saved state; returns the trainer's part of it."""
        try:
            saved = torch.load(self.run.state, weights_only=True)
            own = saved["session"]
            self.steps, self.best = own["steps"], own["best"]
            self.curve = [CurvePoint(**point) for point in own["curve"]]
            trainer: State = saved["trainer"]
        except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise DataError(str(self.run.state), "state", str(error), "a state that this version saved") from error
        self._begun -= own["seconds"]
        self._validated = self._saved = own["seconds"]
        return trainer

    def trained(self, actor: Actor) -> Trained:
        """Return the best policy, loaded into `actor`."""
        actor.load_state_dict(self.best)
        return Trained(
            actor=actor,
            steps=self.steps,
            seconds=self.seconds,
            rule_cost_eur=self.curve[0].validation_cost_eur,
            validation_cost_eur=self.best_cost_eur,
            interrupted=self.interrupted,
        )
