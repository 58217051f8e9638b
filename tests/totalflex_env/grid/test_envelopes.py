from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandapower as pp
import pandapower.networks as pn
import pytest
import torch
from torch import Tensor

from totalflex_env.errors import GridError
from totalflex_env.grid import envelopes, limits, network, tree
from totalflex_env.grid.envelopes import Envelope
from totalflex_env.grid_model import GridModel
from totalflex_env.scenario import simbench

NETS: dict[str, Callable[[], Any]] = {
    "two_houses": network.two_house_feeder,
    "simbench_rural1": lambda: simbench.load("1-LV-rural1--0-sw").net,
    "cigre_lv": pn.create_cigre_network_lv,
    "cigre_mv": pn.create_cigre_network_mv,
    "kerber_landnetz": pn.create_kerber_landnetz_freileitung_1,
    "kerber_dorfnetz": pn.create_kerber_dorfnetz,
}


def claims(grid: GridModel, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Import, export and reactive power of every node: uneven, and together far more than the grid carries."""
    draw = torch.rand(3, len(grid.node_names), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    most = 3.0 * float(grid.rating_kva.max()) / len(grid.node_names)
    return most * draw[0], most * draw[1], 0.02 * most * (draw[2] - 0.3)


def inside(envelope: Envelope, rows: int, seed: int) -> Tensor:
    """Random points of an envelope [rows, M]: half of them anywhere, half at corners with any share of importers."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(rows, len(envelope.import_kw), generator=generator, dtype=torch.float64)
    importers = torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    share[rows // 2 :] = (share[rows // 2 :] < importers[rows // 2 :]).double()
    return share * (envelope.import_kw + envelope.export_kw) - envelope.export_kw


@pytest.mark.parametrize("rule", ["proportional", "max_min"])
@pytest.mark.parametrize("name", list(NETS))
def test_nothing_inside_an_envelope_breaks_the_grid(name: str, rule: envelopes.Rule) -> None:
    """10,000 random points per net and rule: no AC violation; 2 % beyond the envelope there is one."""
    grid = network.from_pandapower(NETS[name]())
    wanted_import, wanted_export, reactive = claims(grid, 1)
    found = envelopes.envelope(grid, wanted_import, wanted_export, reactive, rule)
    assert (found.import_kw <= wanted_import).all() and (found.export_kw <= wanted_export).all()
    assert found.import_kw.sum() > 0.0 and found.export_kw.sum() > 0.0
    points = inside(found, 10_000, 2)
    flow = tree.solve(grid, points, reactive.expand_as(points))
    assert flow.converged.all()
    broken = limits.violations(grid, flow)
    assert float(broken.overload_kva.max()) == 0.0
    assert float(broken.voltage_pu.max()) == 0.0
    assert envelopes.holds(grid, found)
    wider = replace(found, import_kw=1.02 * found.import_kw)
    assert not envelopes.holds(grid, wider)
    wider = replace(found, export_kw=1.02 * found.export_kw)
    assert not envelopes.holds(grid, wider)


def two_branches(thin_ka: float) -> GridModel:
    """A 100 kVA transformer with one house behind a thin line and one behind a thick one, both short."""
    net = pp.create_empty_network()
    medium, low, thin, thick = (pp.create_bus(net, kv) for kv in (20.0, 0.4, 0.4, 0.4))
    pp.create_ext_grid(net, medium)
    pp.create_transformer_from_parameters(net, medium, low, 0.1, 20.0, 0.4, 1.2, 4.0, 0.0, 0.0)
    for bus, rating in ((thin, thin_ka), (thick, 0.3)):
        pp.create_line_from_parameters(net, low, bus, 0.01, 0.2, 0.08, 0.0, max_i_ka=rating)
    return network.from_pandapower(net)


def test_shares_by_hand() -> None:
    """The thin line carries sqrt(3) · 0.4 kV · 30 A = 20.8 kVA, the transformer 100 kVA.

    In proportion both houses get what the thin line carries. Max-min leaves that to the first, but for the reserve of
    1 %, and the second grows until the transformer is full: 100 - 20.6 = 79 kW, less losses and sag.
    """
    grid = two_branches(0.03)
    claim, none = torch.tensor([0.0, 90.0, 90.0], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    even = envelopes.envelope(grid, claim, claim, none, "proportional")
    assert even.import_kw.tolist() == pytest.approx([0.0, 20.5, 20.5], abs=0.4)
    fair = envelopes.envelope(grid, claim, claim, none, "max_min")
    assert fair.import_kw.tolist() == pytest.approx([0.0, 20.5, 77.2], abs=0.3)
    assert fair.export_kw.tolist() == pytest.approx([0.0, 20.6, 80.5], abs=1.0)
    assert (fair.import_kw[1:] > (1.0 - 2.0 * envelopes.RESERVE) * even.import_kw[1:]).all()


def test_small_claims_are_granted_whole() -> None:
    grid = two_branches(0.03)
    claim = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for rule in ("proportional", "max_min"):
        found = envelopes.envelope(grid, claim, 2.0 * claim, torch.zeros_like(claim), rule)  # type: ignore[arg-type]
        assert found.import_kw.tolist() == claim.tolist()
        assert found.export_kw.tolist() == (2.0 * claim).tolist()


def test_bad_claims_and_a_grid_that_is_full_already_are_refused() -> None:
    grid, none = two_branches(0.03), torch.zeros(3, dtype=torch.float64)
    for claim in (none - 1.0, none[:2], torch.full_like(none, torch.nan)):
        with pytest.raises(GridError, match="import claim"):
            envelopes.envelope(grid, claim, none, none)
    with pytest.raises(GridError, match="without active power"):
        envelopes.envelope(grid, none, none, torch.tensor([0.0, 25.0, 0.0], dtype=torch.float64))
