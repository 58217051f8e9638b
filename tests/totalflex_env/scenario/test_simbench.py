from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from totalflex_env.errors import ConfigError, DataError
from totalflex_env.grid import network
from totalflex_env.scenario import simbench

CODE = "1-LV-rural1--0-sw"
FUTURE = "1-LV-semiurb4--2-sw"


def counted_build(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the slow build by the small feeder with profiles; the list holds the codes that were built."""
    built: list[str] = []

    def build(code: str) -> simbench.SimbenchNet:
        built.append(code)
        year = np.arange(12, dtype=np.float32).reshape(6, 2)
        two, one = np.array([2, 3]), np.array([2])
        return simbench.SimbenchNet(
            net=network.two_house_feeder(),
            load_bus=two,
            load_kv=np.array([0.4, 0.4]),
            load_profile=np.array(["H0-A", "HLS_A_3.7"]),
            load_rated_kw=np.array([3.0, 3.7]),
            load_kw=year,
            load_kvar=0.1 * year,
            sgen_bus=one,
            sgen_kw=2.0 * year[:, :1],
            storage_bus=one,
            storage_profile=np.array(["Storage_PV5_H0-A"]),
            storage_kw=3.0 * year[:, :1],
            storage_sun_kw=4.0 * year[:, :1],
            storage_rated_kw=np.array([5.0]),
            storage_kwh=np.array([10.0]),
        )

    monkeypatch.setattr(simbench, "_build", build)
    return built


def test_rural1_as_simbench_states_it() -> None:
    """13 loads (68 kW when all peak at once), 4 PV plants, a 160 kVA transformer; a leap year of quarter-hours."""
    loaded = simbench.load(CODE)
    assert loaded.load_kw.shape == loaded.load_kvar.shape == (35_136, 13)
    assert loaded.sgen_kw.shape == (35_136, 4)
    assert loaded.load_kw.dtype == loaded.sgen_kw.dtype == np.float32
    assert loaded.load_kw.max(axis=0) == pytest.approx(1e3 * loaded.net.load.p_mw.to_numpy(), rel=0.3)
    assert loaded.load_kw.min() >= 0.0
    assert loaded.sgen_kw.min() == 0.0
    assert (loaded.sgen_kw.max(axis=0) <= 1e3 * loaded.net.sgen.p_mw.to_numpy() + 1e-3).all()
    noon, midnight = loaded.sgen_kw.reshape(366, 96, 4)[:, 48].mean(), loaded.sgen_kw.reshape(366, 96, 4)[:, 0].mean()
    assert noon > 1.0 > midnight == 0.0
    assert loaded.load_kw.sum() / 4 + 0.0 == pytest.approx(234e3, rel=0.4)  # kWh a year, of the order of 234 MWh
    assert list(loaded.net.trafo.tap_changer_type) == ["Ratio"]
    assert float(loaded.net.trafo.sn_mva.iloc[0]) == 0.16
    grid = network.from_pandapower(loaded.net)
    assert {*loaded.load_bus.tolist(), *loaded.sgen_bus.tolist()} <= set(grid.node_of_bus)
    assert "profiles" not in loaded.net


def test_storages_are_solar_plants_with_a_battery() -> None:
    """SimBench's storages never charge: they feed in what a plant with a battery does, its sun kept for the evening."""
    loaded = simbench.load(FUTURE)
    assert loaded.storage_kw.shape == loaded.storage_sun_kw.shape == (35_136, 4)
    assert loaded.storage_kw.min() >= 0.0 and loaded.storage_sun_kw.min() >= 0.0
    assert loaded.storage_sun_kw.sum(axis=0, dtype=np.float64) == pytest.approx(loaded.storage_kw.sum(axis=0), rel=1e-3)
    by_hour = [plant.reshape(366, 96, 4).mean(axis=(0, 2)) for plant in (loaded.storage_kw, loaded.storage_sun_kw)]
    assert by_hour[0][80] > 0.02 * by_hour[0].max() and by_hour[1][0] == 0.0  # at 20:00 and at midnight
    assert loaded.storage_kwh == pytest.approx(2.0 * loaded.storage_rated_kw, rel=0.01)


def test_a_transformer_of_another_rating_keeps_its_shares() -> None:
    net = simbench.load(CODE).net
    assert simbench.rerated(net, None) is net
    small = simbench.rerated(net, 80.0)
    assert float(small.trafo.sn_mva.iloc[0]) == pytest.approx(0.08)
    assert float(small.trafo.pfe_kw.iloc[0]) == pytest.approx(float(net.trafo.pfe_kw.iloc[0]) / 2.0)
    assert float(net.trafo.sn_mva.iloc[0]) == 0.16
    before, after = (network.from_pandapower(each) for each in (net, small))
    kva = [grid.rating_kva[[kind for kind, _ in grid.elements].index("trafo")] for grid in (before, after)]
    assert kva == [pytest.approx(160.0), pytest.approx(80.0)]
    assert float(after.impedance.norm()) > float(before.impedance.norm())


def test_cache_is_written_once_and_reused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOTALFLEX_CACHE_DIR", str(tmp_path))
    built = counted_build(monkeypatch)
    first, second = simbench.load(CODE), simbench.load(CODE)
    assert built == [CODE]
    for name in set(vars(first)) - {"net"}:
        assert np.array_equal(vars(first)[name], vars(second)[name])
        assert vars(first)[name].dtype == vars(second)[name].dtype
    assert first.load_kvar.tolist() == pytest.approx(0.1 * first.load_kw)
    assert network.from_pandapower(second.net).node_of_bus == {1: 0, 2: 1, 3: 2}
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [f"{CODE}.npz"]


def test_an_interrupted_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOTALFLEX_CACHE_DIR", str(tmp_path))
    built = counted_build(monkeypatch)
    save = np.savez_compressed

    def interrupted(file: Any, **arrays: Any) -> None:
        file.write(b"half of a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simbench.load(CODE)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    monkeypatch.setattr(np, "savez_compressed", save)
    simbench.load(CODE)
    assert built == [CODE, CODE]


def test_cache_directory_and_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TOTALFLEX_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert simbench.cache_path(CODE).is_relative_to(tmp_path / ".cache" / "totalflex")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert simbench.cache_path(CODE).is_relative_to(tmp_path / "shared" / "totalflex")
    monkeypatch.setenv("TOTALFLEX_CACHE_DIR", str(tmp_path / "own"))
    before = simbench.cache_path(CODE)
    assert before.is_relative_to(tmp_path / "own")
    monkeypatch.setattr(simbench, "version", lambda package: f"9.9-{package}")
    assert simbench.cache_path(CODE) != before
    monkeypatch.undo()
    monkeypatch.setenv("TOTALFLEX_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(simbench, "_LOADER_VERSION", -1)
    assert simbench.cache_path(CODE) != before


def test_a_damaged_cache_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOTALFLEX_CACHE_DIR", str(tmp_path))
    path = simbench.cache_path(CODE)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match="delete the file"):
        simbench.load(CODE)


@pytest.mark.parametrize("code", ["1-LV-nowhere--0-sw", "../../etc/passwd", ""])
def test_an_unknown_code_is_one_line(code: str) -> None:
    with pytest.raises(ConfigError, match=r"grid\.code") as refusal:
        simbench.load(code)
    assert "\n" not in str(refusal.value)


def test_a_grid_without_profiles_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOTALFLEX_CACHE_DIR", str(tmp_path))
    net = network.two_house_feeder()
    net.load["profile"], net.sgen["profile"], net.storage["profile"] = ["H0-A", None], [], []
    monkeypatch.setattr(simbench.simbench, "get_simbench_net", lambda code: net)
    monkeypatch.setattr(simbench.simbench, "profiles_are_missing", lambda net: False)
    with pytest.raises(DataError, match=r"load\.profile"):
        simbench.load(CODE)
    net.load["profile"] = "H0-A"
    monkeypatch.setattr(simbench.simbench, "profiles_are_missing", lambda net: True)
    with pytest.raises(DataError, match=r"load\.profile"):
        simbench.load(CODE)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
