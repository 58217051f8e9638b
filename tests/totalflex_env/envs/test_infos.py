from __future__ import annotations

import pytest

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.simulator import Simulator
from totalflex_env.envs.infos import slot_infos


def test_infos_are_plain_numbers_that_agree_with_the_outcome() -> None:
    simulator = Simulator(build(config_files.load(EnvConfig, "tiny", "env")), ScriptedPolicy())
    now = simulator.reset([0, 1])
    decision, outcome = simulator.step(ScriptedPolicy().act(now))
    grid = simulator.world.params.grid
    infos = slot_infos(grid, decision, outcome)
    assert len(infos) == 2
    for row, info in enumerate(infos):
        assert {type(value) for value in info.values()} <= {float, bool}
        parts = [info[f"cost_{cause}_eur"] for cause in ("spot", "imbalance", "overload", "voltage", "discomfort")]
        assert sum(parts) + info["cost_shortfall_eur"] == pytest.approx(info["cost_eur"])
        assert info["cost_eur"] == outcome.costs.total()[row].item()
        assert info["balance_price_eur_per_kwh"] == decision.balance_price[row].item() / 1e6
        assert info["pf_converged"] is True
        assert 0.9 < info["vm_pu_min"] <= info["vm_pu_max"] < 1.1
        for kind in {kind for kind, _ in grid.elements}:
            loadings = [flow for (of, _), flow in zip(grid.elements, outcome.flow.loading[row].tolist()) if of == kind]
            assert info[f"{kind}_loading_max_pct"] == pytest.approx(100.0 * max(loadings))
