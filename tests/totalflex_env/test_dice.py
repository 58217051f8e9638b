"""Every row draws what its seed alone would draw."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from totalflex_env.dice import Dice


@given(seeds=st.lists(st.integers(0, 2**63), min_size=1, max_size=5), shape=st.lists(st.integers(0, 4), max_size=3))
def test_a_row_is_its_seed_alone(seeds: list[int], shape: list[int]) -> None:
    together, size = Dice.of(seeds), tuple(shape)
    assert together.rows == len(seeds)
    drawn = [together.normal(*size), together.uniform(*size), together.exponential(*size), together.integers(7, *size)]
    for row, seed in enumerate(seeds):
        alone = np.random.default_rng(seed)
        parts = (
            alone.standard_normal(size),
            alone.random(size),
            alone.standard_exponential(size),
            alone.integers(7, size=size),
        )
        for ours, part in zip(drawn, parts):
            assert ours.shape == (len(seeds), *size)
            np.testing.assert_array_equal(ours[row], part)
