from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env import batch


@dataclass(frozen=True)
class Inner:
    energy: Tensor  # [B, N]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    clock: Tensor  # [B] int64
    inner: Inner
    nothing: Tensor | None = None


def record(rows: int, start: int = 0) -> Outer:
    clock = torch.arange(start, start + rows)
    energy = torch.stack([clock * 10.0, clock * 10.0 + 1.0], dim=1)
    return Outer(clock, Inner(energy, ("ev", "battery")))


def test_map_reaches_nested_tensors_and_leaves_the_rest() -> None:
    doubled = batch.map_tensors(record(2), lambda tensor: tensor * 2)
    assert doubled.clock.tolist() == [0, 2]
    assert doubled.inner.energy.tolist() == [[0.0, 2.0], [20.0, 22.0]]
    assert doubled.inner.names == ("ev", "battery")
    assert doubled.nothing is None


def test_take_rows_by_index_and_by_mask() -> None:
    index, mask = torch.tensor([2, 0]), torch.tensor([True, False, True])
    assert batch.take_rows(record(3), index).inner.energy.tolist() == [[20.0, 21.0], [0.0, 1.0]]
    assert batch.take_rows(record(3), mask).clock.tolist() == [0, 2]


def test_where_rows_takes_whole_rows() -> None:
    chosen = batch.where_rows(torch.tensor([True, False]), record(2), record(2, start=5))
    assert chosen.clock.tolist() == [0, 6]
    assert chosen.inner.energy.tolist() == [[0.0, 1.0], [60.0, 61.0]]


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_concatenation_is_undone_by_taking_rows(sizes: list[int]) -> None:
    parts = [record(size, start=7 * place) for place, size in enumerate(sizes)]
    whole = batch.concatenate_rows(parts)
    ends = torch.tensor(sizes).cumsum(0).tolist()
    for part, size, end in zip(parts, sizes, ends, strict=True):
        assert batch.equal(batch.take_rows(whole, torch.arange(end - size, end)), part)


def test_only_floating_tensors_take_the_dtype() -> None:
    single = batch.to(record(2), torch.float32, "cpu")
    assert single.inner.energy.dtype == torch.float32
    assert single.clock.dtype == torch.int64
    assert batch.to(batch.to(record(2), torch.float64), device="cpu").inner.energy.dtype == torch.float64


def change_energy(change: float) -> Outer:
    base = record(2)
    return replace(base, inner=replace(base.inner, energy=base.inner.energy + change))


def test_equal_within_the_tolerance_only() -> None:
    assert batch.equal(record(2), record(2))
    assert batch.equal(record(2), change_energy(0.09), tolerance=0.1)
    assert not batch.equal(record(2), change_energy(0.11), tolerance=0.1)


@pytest.mark.parametrize(
    "other",
    [
        record(1),
        change_energy(float("nan")),
        replace(record(2), clock=torch.tensor([0, 2])),
        replace(record(2), nothing=torch.zeros(2)),
        replace(record(2), inner=replace(record(2).inner, names=("ev", "freezer"))),
    ],
)
def test_any_other_difference_is_a_difference(other: Outer) -> None:
    assert not batch.equal(record(2), other, tolerance=100.0)


def test_nan_is_equal_to_nothing() -> None:
    assert not batch.equal(change_energy(float("nan")), change_energy(float("nan")))
