"""Autoregressive paths have unit variance, the stated memory, and no transient at their start."""

from __future__ import annotations

import math

import numpy as np
import pytest

from totalflex_env.dice import Dice
from totalflex_env.scenario.noise import wander


def test_equals_the_recursion_by_hand() -> None:
    path = wander(Dice.of([5]), 4, 3.0, 2)[0]
    white, fade = np.random.default_rng(5).standard_normal((4, 2)), math.exp(-1 / 3.0)
    by_hand = [white[0]]
    for step in white[1:]:
        by_hand.append(fade * by_hand[-1] + math.sqrt(1 - fade**2) * step)
    np.testing.assert_allclose(path, by_hand, atol=1e-12)


def test_variance_and_memory() -> None:
    path = wander(Dice.of([1]), 40, 12.0, 20_000)[0]
    np.testing.assert_allclose(path.std(axis=1), 1.0, atol=0.02)
    assert np.mean(path[0] * path[12]) == pytest.approx(math.exp(-1.0), abs=0.02)


def test_a_long_path_is_carried_on_across_its_stretches() -> None:
    path = wander(Dice.of([5]), 3000, 300.0)[0, :, 0]
    white, fade = np.random.default_rng(5).standard_normal((3000, 1))[:, 0], math.exp(-1 / 300.0)
    by_hand = [white[0]]
    for step in white[1:]:
        by_hand.append(fade * by_hand[-1] + math.sqrt(1 - fade**2) * step)
    np.testing.assert_allclose(path, by_hand, atol=1e-9)
