"""Joint scenarios of a coming day: what the days of an archive did, given what had been expected of them.

A day of the archive brings its whole outcome: load, sun, temperature, arrivals, all of one and the same day, so that
what moves together in the archive moves together in the scenarios. Its series are shifted by how far the coming day's
expectation lies from its own, through a linear regression of truth on expectation fitted to the whole archive (model
output statistics, Glahn and Lowry 1972: an expectation that is too nervous or too bold is smoothed or drawn in); the
days whose expected sun is nearest come first (analog ensemble, Delle Monache et al. 2013), since errors depend on the
level. Only the archive and the expectation enter: no outcome of the coming day does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.errors import TotalFlexError
from totalflex_env.types import Scenario, Source

REGRESSED = ("base_kwh", "base_kvarh", "pv_kwh")
"""The series whose expectation is corrected; all others are shifted by the difference of expectations as it is."""

RIDGE = 0.01
"""Regularisation of the regression, as a share of the mean variance of the expectation."""


class EnsembleError(TotalFlexError):
    """A forecast cannot be made from the archive at hand."""


@dataclass(frozen=True)
class Regression:
    """How a series of each house follows its expectation."""

    slope: Tensor  # [P, T, T] of truth (last axis) on expectation (second axis)
    least: Tensor  # [P] that the house ever had
    most: Tensor  # [P]


@dataclass(frozen=True)
class Archive:
    """D past days of one world: what was expected of them at the day-ahead gate, and what they brought."""

    actual: Scenario  # [D, ...]
    expected: Scenario  # [D, ...]
    sun: Tensor  # [D, T] expected production of all houses
    regressed: dict[str, Regression]  # by series


def archive(source: Source, seeds: Sequence[int]) -> Archive:
    """Return the days of `seeds` and the regression of truth on expectation; they must not be days to be forecast."""
    actual, expected = source.draw(list(seeds))
    regressed = {name: _regression(vars(actual)[name], vars(expected)[name]) for name in REGRESSED}
    return Archive(actual, expected, expected.pv_kwh.sum(2), regressed)


def joint_scenarios(archive: Archive, expected: Scenario, count: int) -> Scenario:
    """Return `count` scenarios [count, ...] of the day whose day-ahead expectation is the one row of `expected`."""
    days = len(archive.expected.spot)
    if not 0 < count <= days:
        raise EnsembleError(f"{count} scenarios from an archive of {days} days: expected between 1 and {days}")
    near = _nearest(archive, expected, count)
    actual, guess = batch.take_rows(archive.actual, near), batch.take_rows(archive.expected, near)
    drawn = batch.map_tensors(batch.concatenate_rows([expected, actual, guess]), _shifted)
    series = {name: _regressed(archive, name, expected, near) for name in REGRESSED}
    series["pv_kwh"] = series["pv_kwh"].masked_fill(_dark(expected)[..., None], 0.0)
    return replace(drawn, base_kwh=series["base_kwh"], base_kvarh=series["base_kvarh"], pv_kwh=series["pv_kwh"])


def _nearest(archive: Archive, expected: Scenario, count: int) -> Tensor:
    """The `count` days of the archive whose expected sun, slot by slot, is nearest to that of the coming day."""
    distance = (archive.sun - expected.pv_kwh.sum(2)).square().sum(1)
    return distance.argsort(stable=True)[:count]


def _dark(expected: Scenario) -> Tensor:
    """Slots [1, T] before the first and after the last that expects sun; one between them may only expect none."""
    lit = (expected.pv_kwh.sum(2) > 0.0).int()
    return (lit.cummax(1).values * lit.flip(1).cummax(1).values.flip(1)) == 0


def _shifted(rows: Tensor) -> Tensor:
    """Truth of S past days moved by how far the coming day is expected to differ; rows [1 + 2 S]: day, truth, guess.

    Whole numbers (arrivals, starts) are those of the past day, and so is all that every day expects alike.
    """
    actual, guess = rows[1:].chunk(2)
    return actual + (rows[:1] - guess) if rows.is_floating_point() else actual


def _regressed(archive: Archive, name: str, expected: Scenario, near: Tensor) -> Tensor:
    """The same for a series [S, T, P] by its regression, held within what each house ever did."""
    difference = vars(expected)[name] - vars(archive.expected)[name][near]
    found = archive.regressed[name]
    shift = (difference.permute(2, 0, 1) @ found.slope).permute(1, 2, 0)
    return torch.maximum(torch.minimum(vars(archive.actual)[name][near] + shift, found.most), found.least)


def _regression(actual: Tensor, expected: Tensor) -> Regression:
    """Ridge regression of truth [D, T, P] on expectation [D, T, P]: one, and what the error owes to the expectation."""
    guess = (expected - expected.mean(0)).permute(2, 0, 1)
    error = actual - expected
    error = (error - error.mean(0)).permute(2, 0, 1)
    covariance = guess.mT @ guess / len(actual)
    one = torch.eye(covariance.shape[-1], dtype=covariance.dtype)
    ridge = RIDGE * covariance.diagonal(dim1=-2, dim2=-1).mean(-1)
    ridge = torch.where(ridge > 0.0, ridge, 1.0)  # a house without sun
    slope = one + torch.linalg.solve(covariance + ridge[:, None, None] * one, guess.mT @ error / len(actual))
    return Regression(slope, actual.amin((0, 1)), actual.amax((0, 1)))
