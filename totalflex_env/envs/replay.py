"""Episodes as files: what was drawn, done and paid, from which the engine goes through them again.

A file holds the configuration, the seeds, what was nominated and every action, so that the episode can be rebuilt later
and handed to an optimiser that knows the future, or stepped once more. What the seeds draw is compared with what they
drew then: whoever changes generators or data is told so instead of getting another day.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env import batch, config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.envs.batched import Batch
from totalflex_env.errors import DataError
from totalflex_env.types import Action, Episode, Outcome, Scenario, Situation

FORMAT = 1
_TRADED = "traded"  # the one part of an action that is no tensor
_ACTION = tuple(field.name for field in fields(Action) if field.name != _TRADED)


@dataclass(frozen=True)
class Recording:
    """Some episodes of one environment, side by side."""

    config: EnvConfig
    seeds: tuple[int, ...]  # B
    dtype: torch.dtype
    drawn: str  # sha256 of everything that the seeds drew
    nomination_kwh: Tensor  # [B, T]
    actions: tuple[Action, ...]  # of each slot that was played, every tensor [B, ...]
    energy_kwh: Tensor  # [B, T, N] metered
    net_kwh: Tensor  # [B, T]
    cost_eur: Tensor  # [B, T]

    def episode(self, world: World) -> Episode:
        """Return the episode again, as `build(self.config, self.dtype)` draws it; another day is a DataError."""
        episode = draw(world, self.seeds)
        if fingerprint(episode.actual) != self.drawn:
            raise DataError("replay", "drawn", self.drawn[:12], "days that the seeds still draw, from unchanged data")
        return replace(episode, nomination_kwh=self.nomination_kwh)

    def again(self) -> Trace:
        """Return what happens when the engine goes through all its actions once more."""
        world = build(self.config, self.dtype)
        return rollout(world.params, self.episode(world), _Repeat(self.actions))


class Recorder:
    """Remembers the present episodes of a view's `batch`, from the next reset on."""

    def __init__(self, watched: Batch) -> None:
        self._watched = watched
        self._actions: list[Action] = []
        self._outcomes: list[Outcome] = []
        self._seeds: tuple[int, ...] = ()
        watched.recorder = self

    def begin(self, seeds: tuple[int, ...]) -> None:
        """Forget the last episodes: those of `seeds` begin."""
        self._seeds, self._actions, self._outcomes = seeds, [], []

    def take(self, action: Action, outcome: Outcome) -> None:
        """Remember a slot."""
        self._actions.append(action)
        self._outcomes.append(outcome)

    def recording(self) -> Recording:
        """Return what has been played since the last reset; nothing is a DataError."""
        if not self._outcomes:
            raise DataError("replay", "slots", 0, "a reset and at least one step")
        episode, out = self._watched.simulator.episode, batch.stack_slots(self._outcomes)
        return Recording(
            config=self._watched.config,
            seeds=self._seeds,
            dtype=self._watched.setup.dtype,
            drawn=fingerprint(episode.actual),
            nomination_kwh=episode.nomination_kwh,
            actions=tuple(self._actions),
            energy_kwh=out.energy_kwh,
            net_kwh=out.net_kwh,
            cost_eur=out.costs.total(),
        )


class _Repeat:
    """Does what was done."""

    def __init__(self, actions: tuple[Action, ...]) -> None:
        self._actions = actions

    def reset(self, situation: Situation) -> None:
        """Nothing to forget."""

    def act(self, situation: Situation) -> Action:
        """Return the action of this slot."""
        return self._actions[situation.state.slot]


def fingerprint(scenario: Scenario) -> str:
    """Return the sha256 of all that a scenario holds."""
    found = hashlib.sha256()

    def add(tensor: Tensor) -> Tensor:
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return tensor

    batch.map_tensors(scenario, add)
    return found.hexdigest()


def save(recording: Recording, path: Path) -> None:
    """Write a recording as one compressed npz file of plain numbers; its `header` is JSON, the configuration YAML."""
    header = {
        "format": FORMAT,
        "config": config_files.dump(recording.config),
        "config_hash": config_files.digest(recording.config),
        "dtype": str(recording.dtype).removeprefix("torch."),
        "drawn": recording.drawn,
        _TRADED: [action.traded for action in recording.actions],
    }
    arrays = {name: torch.stack([vars(action)[name] for action in recording.actions], dim=1) for name in _ACTION}
    arrays |= {name: vars(recording)[name] for name in ("nomination_kwh", "energy_kwh", "net_kwh", "cost_eur")}
    numbers: dict[str, Any] = {name: tensor.cpu().numpy() for name, tensor in arrays.items()}
    np.savez_compressed(path, header=np.array(json.dumps(header)), seeds=np.array(recording.seeds), **numbers)


def load(path: Path) -> Recording:
    """Read a recording; a file that is none, or of another format, is a DataError."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
        header = json.loads(str(arrays["header"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(str(path), "file", str(error), "a recording that `replay.save` wrote") from error
    if header.get("format") != FORMAT:
        raise DataError(str(path), "format", header.get("format"), str(FORMAT))
    config = EnvConfig.model_validate(yaml.safe_load(header["config"]))
    if config_files.digest(config) != header["config_hash"]:
        raise DataError(str(path), "config_hash", header["config_hash"][:12], "that of its configuration")
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items() if name not in ("header", "seeds")}
    slots = [{name: tensors[name][:, slot] for name in _ACTION} for slot in range(len(header[_TRADED]))]
    return Recording(
        config=config,
        seeds=tuple(arrays["seeds"].tolist()),
        dtype={"float32": torch.float32, "float64": torch.float64}[header["dtype"]],
        drawn=header["drawn"],
        nomination_kwh=tensors["nomination_kwh"],
        actions=tuple(Action(**slot, traded=traded) for slot, traded in zip(slots, header[_TRADED])),
        energy_kwh=tensors["energy_kwh"],
        net_kwh=tensors["net_kwh"],
        cost_eur=tensors["cost_eur"],
    )
