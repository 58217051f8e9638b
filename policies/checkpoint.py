"""A policy as a folder: `weights.pt` holds tensors only, `policy.json` what they mean and where they come from."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from policies.learned import LearnedPolicy
from policies.network import Actor, make_actor
from totalflex_env.engine.observe import AGGREGATOR_FEATURES
from totalflex_env.engine.roles import AGGREGATOR_CONTROLS
from totalflex_env.errors import DataError
from totalflex_env.settings import Settings

CARD, WEIGHTS = "policy.json", "weights.pt"
CONTROLS = tuple(control.name for control in AGGREGATOR_CONTROLS)


class Normaliser(Settings):
    """Mean and deviation of every feature, in the order of `PolicyCard.features`."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Provenance(Settings):
    """Where a policy comes from."""

    revision: str = Field(description="git commit of the code, or 'unknown'")
    versions: dict[str, str]
    config: dict[str, Any] = Field(description="resolved configuration of the training")
    config_hash: str
    env_hash: str = Field(description="of the resolved environment that was trained on")
    seed: NonNegativeInt
    steps: NonNegativeInt = Field(description="slots over all copies")
    seconds: float
    validation_cost_eur: float = Field(description="mean per validation day")
    rule_cost_eur: float = Field(description="of the scripted rule on the same days")


class PolicyCard(Settings):
    """The content of `policy.json`."""

    format: PositiveInt = 1
    name: str
    role: str = "aggregator"
    features: tuple[str, ...]
    controls: tuple[str, ...]
    hidden: tuple[PositiveInt, ...]
    normaliser: Normaliser
    provenance: Provenance


def save(folder: Path, actor: Actor, card: PolicyCard) -> None:
    """Write a policy into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(actor.state_dict(), folder / WEIGHTS)
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def card_of(name: str, actor: Actor, provenance: Provenance) -> PolicyCard:
    """Return what `policy.json` says of an actor."""
    standardise = actor.standardise
    return PolicyCard(
        name=name,
        features=AGGREGATOR_FEATURES,
        controls=CONTROLS,
        hidden=actor.hidden,
        normaliser=Normaliser(mean=tuple(standardise.mean.tolist()), deviation=tuple(standardise.deviation.tolist())),
        provenance=provenance,
    )


def load(folder: Path) -> tuple[LearnedPolicy, PolicyCard]:
    """Return the policy of a folder; refuses one that was learned for other features or controls."""
    card = _read_card(folder / CARD)
    for field, found, known in (
        ("features", card.features, AGGREGATOR_FEATURES),
        ("controls", card.controls, CONTROLS),
        ("role", (card.role,), ("aggregator",)),
        ("format", (str(card.format),), ("1",)),
    ):
        _check_names(folder / CARD, field, found, known)
    normaliser = card.normaliser
    for field, values in (("mean", normaliser.mean), ("deviation", normaliser.deviation)):
        if len(values) != len(card.features):
            expected = f"{len(card.features)} numbers, one per feature"
            raise DataError(str(folder / CARD), f"normaliser.{field}", f"{len(values)} numbers", expected)
    mean, deviation = torch.tensor(normaliser.mean), torch.tensor(normaliser.deviation)
    actor = make_actor(mean, deviation, card.hidden, len(card.controls))
    _read_weights(folder / WEIGHTS, actor)
    return LearnedPolicy(actor.eval()), card


def _read_card(path: Path) -> PolicyCard:
    try:
        return PolicyCard.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(str(path), "file", str(error), "the folder of a trained policy") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise DataError(str(path), field, first["input"], first["msg"]) from error


def _check_names(path: Path, field: str, found: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Names and their order must be those of this version, since a policy knows its inputs by position."""
    for position in range(max(len(found), len(known))):
        here = found[position] if position < len(found) else "(nothing)"
        there = known[position] if position < len(known) else "nothing more"
        if here != there:
            raise DataError(
                str(path), f"{field}.{position}", here, f"{there!r}, as this version has it; train the policy anew"
            )


def _read_weights(path: Path, actor: Actor) -> None:
    try:
        actor.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, TypeError, AttributeError) as error:
        raise DataError(str(path), "weights", str(error), "the tensors that policy.json describes") from error
    if not all(torch.isfinite(tensor).all() for tensor in actor.state_dict().values()):
        raise DataError(str(path), "weights", "not finite", "finite numbers")
