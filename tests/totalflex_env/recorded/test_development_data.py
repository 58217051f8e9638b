"""Real files are read as they are, where they lie beside the checkout or where TOTALFLEX_DEVELOPMENT_DATA says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from totalflex_env.recorded import charging, table, weather_files
from totalflex_env.recorded import energi_data_service as eds

BESIDE = Path(__file__).resolve().parents[4] / "shared" / "data"
FOLDER = Path(os.environ.get("TOTALFLEX_DEVELOPMENT_DATA", BESIDE))
FILES = sorted(FOLDER.glob("*.csv"))


# Under CI, where a skipped test fails and the files are not, the test has nothing to read.
@pytest.mark.skipif(not FILES and os.environ.get("CI") != "true", reason="no development data")
def test_every_file_is_read_without_editing() -> None:
    for path in FILES:
        values = read(path)
        assert len(values) and np.isfinite(values).all(), path.name


def read(path: Path) -> np.ndarray:
    """The numbers of a file, with the loader that its name asks for."""
    match path.name.split("_")[0]:
        case "Elspotprices":
            return eds.spot(path, "DK1").values
        case "RegulatingBalancePowerdata":
            return eds.imbalance(path, "DK1").values
        case "ProductionMunicipalityHour":
            return np.concatenate([eds.energy(path, column).values for column in ("SolarMWh", "OnshoreWindMWh")])
        case "Solar":
            leads = eds.forecasts(path, "DK1", fill="interpolate")
            assert leads["ForecastIntraday"].filled > leads["ForecastCurrent"].filled > 0
            return np.concatenate([series.values for series in leads.values()])
        case "ev":
            sessions = charging.from_csv(path, charging.TRONDHEIM, fill="drop")
            assert 0 < sessions.dropped < 0.02 * len(sessions.arrival)
            return sessions.energy_kwh
        case "temperature":
            return weather_files.temperature_csv(path).values
        case "when2heat":
            rows = table.read_csv(path, header_rows=2 if "daily" in path.name else 1)
            values = np.concatenate([rows.numbers(name) for name in list(rows.columns)[1:]])
            return values[~np.isnan(values)]  # hot water has no coefficients that depend on the weather
    raise AssertionError(f"no loader for {path.name}")
