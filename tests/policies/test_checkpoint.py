"""A policy folder comes back as the same policy; one that does not fit is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from policies import checkpoint
from policies.checkpoint import CARD, CONTROLS, WEIGHTS, Provenance
from policies.network import Actor, make_actor
from totalflex_env.engine.observe import AGGREGATOR_FEATURES
from totalflex_env.errors import DataError

PROVENANCE = Provenance(
    revision="abc",
    versions={"torch": "2"},
    config={"name": "quick"},
    config_hash="1",
    env_hash="2",
    seed=0,
    steps=10,
    seconds=1.5,
    validation_cost_eur=20.0,
    rule_cost_eur=21.0,
)


def random_actor() -> Actor:
    generator = torch.Generator().manual_seed(0)
    features = len(AGGREGATOR_FEATURES)
    mean = torch.randn(features, generator=generator)
    actor = make_actor(mean, 0.1 + torch.rand(features, generator=generator), (16, 8), len(CONTROLS))
    state = {name: torch.randn(value.shape, generator=generator) for name, value in actor.state_dict().items()}
    actor.load_state_dict(state | {"standardise.deviation": state["standardise.deviation"].abs() + 0.1})
    return actor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    actor = random_actor()
    checkpoint.save(tmp_path / "policy", actor, checkpoint.card_of("quick", actor, PROVENANCE))
    return tmp_path / "policy"


def change(folder: Path, edit: Any) -> None:
    card = json.loads((folder / CARD).read_text())
    edit(card)
    (folder / CARD).write_text(json.dumps(card))


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        checkpoint.load(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_policy_comes_back_as_it_was(folder: Path) -> None:
    policy, card = checkpoint.load(folder)
    features = torch.randn(5, len(AGGREGATOR_FEATURES), generator=torch.Generator().manual_seed(1)) * 3.0
    with torch.no_grad():
        assert torch.equal(policy.actor(features), random_actor()(features))
    assert card.provenance == PROVENANCE
    assert card.hidden == (16, 8)
    assert card.normaliser.mean == tuple(random_actor().standardise.mean.tolist())


def test_controls_stay_between_minus_one_and_one_and_odd_features_are_cut() -> None:
    actor = random_actor()
    wild = torch.full((1, len(AGGREGATOR_FEATURES)), 1e6)
    with torch.no_grad():
        assert actor(wild).abs().max() <= 1.0
        assert torch.equal(actor(wild), actor(torch.full_like(wild, 1e4)))


def test_a_new_actor_is_the_scripted_rule() -> None:
    features = len(AGGREGATOR_FEATURES)
    actor = make_actor(torch.zeros(features), torch.ones(features), (4,), len(CONTROLS))
    with torch.no_grad():
        assert torch.equal(actor(torch.randn(3, features)), torch.zeros(3, len(CONTROLS)))


def test_other_features_are_refused(folder: Path) -> None:
    change(folder, lambda card: card["features"].__setitem__(2, "moon_phase"))
    assert refusal(folder).endswith(
        f"policy.json: features.2 = moon_phase: expected {AGGREGATOR_FEATURES[2]!r}, as this version has it; "
        "train the policy anew"
    )


def test_a_missing_control_is_refused(folder: Path) -> None:
    change(folder, lambda card: card["controls"].pop())
    assert f"controls.{len(CONTROLS) - 1} = (nothing): expected {CONTROLS[-1]!r}" in refusal(folder)


def test_a_policy_of_another_role_or_format_is_refused(folder: Path) -> None:
    change(folder, lambda card: card.update(role="dso"))
    assert "role.0 = dso: expected 'aggregator'" in refusal(folder)
    change(folder, lambda card: card.update(role="aggregator", format=2))
    assert "format.0 = 2: expected '1'" in refusal(folder)


def test_a_short_normaliser_is_refused(folder: Path) -> None:
    change(folder, lambda card: card["normaliser"]["mean"].pop())
    assert "normaliser.mean" in refusal(folder)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_missing_or_broken_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"not a policy")
    assert str(folder / name) in refusal(folder)
    (folder / name).unlink()
    assert str(folder / name) in refusal(folder)


def test_weights_of_another_shape_or_not_finite_are_refused(folder: Path) -> None:
    actor = random_actor()
    torch.save(actor.state_dict() | {"head.bias": torch.zeros(3)}, folder / WEIGHTS)
    assert "weights" in refusal(folder)
    torch.save(actor.state_dict() | {"head.bias": torch.full((len(CONTROLS),), torch.nan)}, folder / WEIGHTS)
    assert "expected finite numbers" in refusal(folder)


def test_weights_that_would_run_code_are_refused(folder: Path) -> None:
    torch.save({"head.bias": Path}, folder / WEIGHTS)
    assert "weights" in refusal(folder)
