"""Recorded functions give what torch gives, and say when they cannot be recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.tape.structure import Node
from totalflex_env.tape.taped import RECORDINGS, Taped

SLOTS = 12


@dataclass(frozen=True)
class Series:
    """What a function of a slot is given."""

    slot: int
    numbers: Tensor  # [2, SLOTS, 3] float64
    wholes: Tensor  # [2, SLOTS, 3] int64
    places: Tensor  # [3] int64, below 3


@dataclass(frozen=True)
class Found:
    """What it returns."""

    value: Tensor
    next: int


def series(slot: int) -> Series:
    """Return random series that belong to a slot."""
    generator = torch.Generator().manual_seed(slot)
    return Series(
        slot=slot,
        numbers=torch.randn(2, SLOTS, 3, generator=generator, dtype=torch.float64),
        wholes=torch.randint(-5, 6, (2, SLOTS, 3), generator=generator),
        places=torch.randint(0, 3, (3,), generator=generator),
    )


def now(given: Series) -> tuple[Tensor, Tensor]:
    """Return what belongs to the slot, [2, 3] each."""
    return given.numbers[:, given.slot], given.wholes[:, given.slot]


def taped(function: Callable[[Series], Tensor]) -> Taped:
    """Return the recorded form of a function that tells a tensor."""
    return Taped(lambda given: Found(function(given), given.slot + 1), (), dict[type, Node]())


OPERATIONS: dict[str, Callable[[Series], Tensor]] = {
    "arithmetic": lambda s: (now(s)[0] + 2.0) * now(s)[0] - now(s)[1] / 3 + (1.0 - now(s)[0]) - (-now(s)[0]),
    "whole numbers": lambda s: torch.div(now(s)[1] * 7 - s.slot, 3, rounding_mode="floor") + now(s)[1] // 2,
    "comparisons": lambda s: (now(s)[0] > 0.0) & (now(s)[1] <= s.slot) | ~(now(s)[1] >= 0) | (now(s)[1] == 2),
    "choices": lambda s: torch.where(now(s)[1] < 1, now(s)[0], 0.5).clamp(-0.5, 3.0).clamp(min=0.0),
    "extremes": lambda s: torch.minimum(now(s)[0], now(s)[0] * -2.0).maximum(now(s)[0][:, :1]),
    "functions": lambda s: torch.exp(now(s)[0]) + now(s)[0].square().sqrt() + 4.0 ** now(s)[0] + now(s)[0].abs() ** 0.3,
    "angles": lambda s: torch.cos(now(s)[0]) + torch.atan(now(s)[0]) + torch.hypot(now(s)[0], now(s)[0] + 1.0),
    "roundings": lambda s: (now(s)[0] * 5.0).round() + now(s)[0].floor() + now(s)[0].ceil() + now(s)[0].sign(),
    "normal": lambda s: torch.special.ndtr(now(s)[0]) + torch.lerp(now(s)[0], now(s)[0] + 1.0, 0.7),
    "sums": lambda s: s.numbers[:, s.slot :][:, :2].sum(dim=(1, 2)) + s.wholes.sum(dim=1)[:, 0],
    "means": lambda s: (
        s.numbers.mean(dim=1, keepdim=True) + s.numbers.amax(dim=(0, 1)) - s.numbers.amin(dim=2)[:, :1, None]
    ),
    "truths": lambda s: (s.wholes > 4).any(dim=1) & (s.wholes < 6).all(dim=1),
    "first of the largest": lambda s: (s.wholes > 2).to(torch.int8).argmax(dim=1, keepdim=True),
    "products": lambda s: s.numbers[0] @ s.numbers[1].T,
    "joined": lambda s: torch.cat([torch.stack(now(s), dim=1).flatten(1), now(s)[0].repeat(1, 2)], dim=1),
    "padded": lambda s: torch.nn.functional.pad(now(s)[0], (2, 1), value=7.0),
    "gathered": lambda s: now(s)[0].gather(1, s.places.expand(2, -1)) + now(s)[0].index_select(1, s.places),
    "indexed": lambda s: now(s)[0][:, s.places] + s.numbers[s.places.clamp(max=1), s.places][0],
    "added where": lambda s: torch.zeros_like(now(s)[0]).index_add(1, s.places, now(s)[0]),
    "least where": lambda s: torch.zeros_like(now(s)[0]).scatter_reduce(
        1, s.places.expand(2, -1), now(s)[0], "amin", include_self=False
    ),
    "time": lambda s: torch.exp(-torch.arange(s.slot, s.slot + 3).double() / 7.0) + s.numbers[0, 0],
    "in place": lambda s: now(s)[0].to(torch.float64, copy=True).mul_(1e3).round_().long(),
    "nobody": lambda s: s.numbers[:, :, :0].sum(dim=2) + torch.cat([s.numbers[:, 0, :0], now(s)[0]], dim=1).sum(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_tape_gives_what_torch_gives(name: str) -> None:
    function = OPERATIONS[name]
    tape = taped(function)
    for slot in range(SLOTS - 3):
        found = tape(slot, series(slot))
        assert batch.equal(found, Found(function(series(slot)), slot + 1), tolerance=1e-12), (name, slot)
    assert tape.played, tape.failures


def test_a_recording_of_other_records_is_another_one() -> None:
    tape = taped(lambda s: s.numbers[:, s.slot].sum(dim=1))
    for slot in range(RECORDINGS + 1):
        tape(slot, series(slot))
    assert tape.played
    one_row = Series(5, *(part[:1] for part in (series(5).numbers, series(5).wholes)), series(5).places)
    assert tape(5, one_row).value.shape == (1,)


def test_what_is_returned_keeps_its_numbers_when_the_tape_is_played_again() -> None:
    tape = taped(lambda s: s.numbers[:, s.slot] + 1.0)
    found = [tape(slot, series(slot)).value for slot in range(8)]
    for slot, value in enumerate(found):
        assert torch.equal(value, series(slot).numbers[:, slot] + 1.0)


def test_a_tensor_that_is_not_contiguous_is_read_anew_at_every_call() -> None:
    tape = taped(lambda s: s.numbers[:, s.slot] + 1.0)
    given = series(0)
    turned = Series(0, given.numbers.permute(2, 1, 0), given.wholes, given.places)
    for slot in range(8):
        given.numbers.fill_(slot)
        found = tape(slot, dataclasses.replace(turned, slot=slot)).value
        assert torch.equal(found, torch.full_like(found, slot + 1.0))
    assert tape.played


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda s: s.numbers[:, s.slot] * (s.slot // 2), "grow evenly"),
        (lambda s: s.numbers[:, s.slot] * (0.5 * s.slot), "grow evenly"),
        (lambda s: s.numbers[:, : s.slot].sum(dim=1), "grow evenly"),
        (lambda s: s.numbers.cumsum(dim=1), "not among the operations"),
        (lambda s: s.numbers.mul_(2.0), "writes over an argument"),
    ],
)
def test_what_cannot_be_recorded_goes_on_in_torch_and_says_why(function: Callable[[Series], Tensor], why: str) -> None:
    tape = taped(function)
    for slot in range(1, 7):
        assert torch.equal(tape(slot, series(slot)).value, function(series(slot)))
    assert not tape.played
    assert why in tape.failures[0]


def test_what_requires_gradients_is_run_in_torch() -> None:
    tape = taped(lambda s: s.numbers[:, s.slot] * 2.0)
    for slot in range(RECORDINGS + 1):
        tape(slot, series(slot))
    assert tape.played
    given = series(5)
    given.numbers.requires_grad_()
    tape(5, given).value.sum().backward()
    assert given.numbers.grad is not None
    assert float(given.numbers.grad[0, 5, 0]) == 2.0
