"""Joint scenarios of a coming day: what the days of an archive did, given what had been expected of them.

A day of the archive brings its whole outcome: load, sun, temperature, arrivals, all of one and the same day, so that
what moves together in the archive moves together in the scenarios. What is expected is corrected by a linear regression
of truth on expectation (model output statistics, Glahn and Lowry 1972: an expectation that is too nervous or too bold
is smoothed or drawn in), and a past day adds what it differed by from its own corrected expectation. That correction is
fitted to the other days of the archive alone, since a regression is closer to the days it was fitted to than to any
others: cross-validated residuals, as in CV+ (Barber et al., "Predictive inference with the jackknife+", Annals of
Statistics 49(1), 2021). The days whose expected sun is nearest come first (analog ensemble, Delle Monache et al. 2013),
since errors depend on the level. Only the archive and the expectation enter: no outcome of the coming day does.
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

RIDGE = 0.1
"""Regularisation of the regression, as a share of the mean variance of the expectation."""

FOLDS = 5
"""Parts of the archive, each corrected by a regression that was fitted to the others."""

_NOTHING = 1e-12  # kWh squared; variances of series that never vary are that small by rounding


class EnsembleError(TotalFlexError):
    """A forecast cannot be made from the archive at hand."""


@dataclass(frozen=True)
class Regression:
    """How a series of each house follows its expectation, K times: fitted without the days of one fold each."""

    slope: Tensor  # [K, P, T, T] of truth (last axis) on expectation (third axis)
    constant: Tensor  # [K, T, P] kWh or kvarh
    residual: Tensor  # [D, T, P] truth of each day of the archive less what the fit without its fold expects
    least: Tensor  # [P] that the house ever had
    most: Tensor  # [P]


@dataclass(frozen=True)
class Archive:
    """D past days of one world: what was expected of them at the day-ahead gate, and what they brought."""

    actual: Scenario  # [D, ...]
    expected: Scenario  # [D, ...]
    sun: Tensor  # [D, T] expected production of all houses
    fold: Tensor  # [D] int64; days on which the same happened are in the same one
    regressed: dict[str, Regression]  # by series


def archive(source: Source, seeds: Sequence[int]) -> Archive:
    """Return the days of `seeds` and the regression of truth on expectation; they must not be days to be forecast.

    Without two days that differ nothing can be learned about errors: an EnsembleError.
    """
    actual, expected = source.draw(list(seeds))
    fold = _folds(actual)
    regressed = {name: _regression(vars(actual)[name], vars(expected)[name], fold) for name in REGRESSED}
    return Archive(actual, expected, expected.pv_kwh.sum(2), fold, regressed)


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
    found = archive.regressed[name]
    fits = [_expected(vars(expected)[name], *fit) for fit in zip(found.slope, found.constant)]
    series = torch.cat(fits)[archive.fold[near]] + found.residual[near]
    return torch.maximum(torch.minimum(series, found.most), found.least)


def _folds(actual: Scenario) -> Tensor:
    """The fold [D] of every day; seeds that draw the same day of a year of profiles must not vouch for each other."""
    lived = torch.cat([vars(actual)[name].flatten(1) for name in REGRESSED], dim=1)
    different, which = torch.unique(lived, dim=0, return_inverse=True)
    if len(different) < 2:
        raise EnsembleError(f"an archive of {len(lived)} days on which the same happened: expected two that differ")
    fold: Tensor = which % min(FOLDS, len(different))
    return fold


def _regression(actual: Tensor, expected: Tensor, fold: Tensor) -> Regression:
    """Ridge regression of truth [D, T, P] on expectation [D, T, P]: one, and what the error owes to the expectation."""
    guess, error = (series.permute(2, 0, 1).contiguous() for series in (expected, actual - expected))
    folds = [torch.nonzero(fold == own)[:, 0] for own in range(int(fold.max()) + 1)]
    own = [_moments(guess[:, days], error[:, days]) for days in folds]
    slope, constant = (torch.stack(parts) for parts in zip(*(_fit(sum(own) - each) for each in own)))
    residual = torch.empty_like(actual)
    for days, *fitted in zip(folds, slope, constant):
        residual[days] = actual[days] - _expected(expected[days], *fitted)
    return Regression(slope, constant, residual, actual.amin((0, 1)), actual.amax((0, 1)))


def _moments(guess: Tensor, error: Tensor) -> Tensor:
    """Sums [P, 1 + T, 1 + 2 T] over days of one and guesses [P, D, T] times one, guesses and errors [P, D, T]."""
    one = torch.ones_like(guess[..., :1])
    return torch.cat([one, guess], dim=2).mT @ torch.cat([one, guess, error], dim=2)


def _fit(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Slope [P, T, T] and constant [T, P] of truth on guess by the moments of both."""
    slots = moments.shape[1] - 1
    mean = moments / moments[:, :1, :1]
    _, guess, error = mean[:, :1].split([1, slots, slots], dim=2)
    covariance, cross = (mean - mean[:, :, :1] @ mean[:, :1])[:, 1:, 1:].split(slots, dim=2)
    ridge = RIDGE * covariance.diagonal(dim1=1, dim2=2).mean(1)
    ridge = torch.where(ridge > _NOTHING, ridge, 1.0)  # a house without sun
    one = torch.eye(slots, dtype=moments.dtype)
    slope = one + torch.linalg.solve(covariance + ridge[:, None, None] * one, cross)
    return slope, (guess + error - guess @ slope)[:, 0].T


def _expected(guess: Tensor, slope: Tensor, constant: Tensor) -> Tensor:
    """What one fit makes of expectations [D, T, P]."""
    return (guess.permute(2, 0, 1) @ slope).permute(1, 2, 0) + constant
