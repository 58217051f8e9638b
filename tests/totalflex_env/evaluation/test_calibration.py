from __future__ import annotations

import pytest
import torch

from totalflex_env.evaluation import calibration, scorecard
from totalflex_env.grid import forecast, network
from totalflex_env.grid.forecast import Samples

GRID = network.from_pandapower(network.two_house_feeder())


def days(count: int, spread: float, seed: int) -> tuple[list[Samples], torch.Tensor, torch.Tensor]:
    """Forecasts of 24 slots whose scenarios have the given spread around a mean, while outcomes have spread 1."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    samples, loadings, voltages = [], [], []
    for _ in range(count):
        mean = normal(24, 3)
        loading = 0.8 + 0.1 * (mean[..., None] + spread * normal(24, 3, 200))
        voltage = 1.0 + 0.01 * (mean[..., None] + spread * normal(24, 3, 200))
        samples.append(Samples(loading.sort(-1).values, voltage.sort(-1).values, torch.zeros(24, dtype=torch.float64)))
        loadings.append(0.8 + 0.1 * (mean + normal(24, 3)))
        voltages.append(1.0 + 0.01 * (mean + normal(24, 3)))
    return samples, torch.stack(loadings), torch.stack(voltages)


@pytest.mark.parametrize("spread", [0.6, 1.0, 1.6])
def test_bands_that_are_too_narrow_or_too_wide_are_set_right(spread: float) -> None:
    """Fitted on some days, tried on others: nine of ten outcomes lie in the band, and probabilities are frequencies."""
    found = calibration.calibrate(*days(40, spread, 1))
    samples, loading, voltage = days(40, spread, 2)
    plain = [forecast.summary(GRID, each) for each in samples]
    right = [found.apply(one, each) for one, each in zip(plain, samples)]
    for outcome, name in ((loading, "loading"), (voltage, "voltage")):
        lower, upper = (torch.stack([vars(each)[name][end] for each in right]) for end in (0, -1))
        assert scorecard.coverage(lower, upper, outcome) == pytest.approx(0.9, abs=0.02)
    raw = scorecard.coverage(*(torch.stack([each.loading[end] for each in plain]) for end in (0, -1)), loading)
    assert abs(raw - 0.9) < 0.03 if spread == 1.0 else abs(raw - 0.9) > 0.06
    chance = torch.stack([each.overload for each in right])
    likely = (chance > 0.4) & (chance < 0.6)
    assert float((loading > 1.0)[likely].double().mean()) == pytest.approx(0.5, abs=0.12)
    under = torch.stack([each.undervoltage for each in right])
    assert float(under.mean()) == pytest.approx(float((voltage < 0.9).double().mean()), abs=0.01)


def test_certainty_stays_certain() -> None:
    found = calibration.calibrate(*days(10, 1.0, 1))
    samples = days(1, 1.0, 2)[0][0]
    high, low = (Samples(samples.loading + shift, samples.voltage + shift, samples.unsolved) for shift in (9.0, -9.0))
    for each, loaded in ((high, 1.0), (low, 0.0)):
        right = found.apply(forecast.summary(GRID, each), each)
        assert (right.overload == loaded).all() and (right.overvoltage == loaded).all()
        assert (right.undervoltage == 1.0 - loaded).all()


def test_the_level_of_an_outcome_by_hand() -> None:
    """Among 1, 2, 3 (levels 0.25, 0.5, 0.75): below all 0.125, at 2 its own level, between 2 and 3 0.625."""
    ordered = torch.tensor([1.0, 2.0, 3.0]).expand(4, 3).contiguous()
    found = calibration.rank(ordered, torch.tensor([0.0, 2.0, 2.5, 9.0]))
    assert found.tolist() == [0.125, 0.5, 0.625, 0.875]
