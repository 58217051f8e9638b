from __future__ import annotations

import pandapower as pp
import pytest
import torch

from totalflex_env.errors import GridError
from totalflex_env.grid import network, reference


def test_rows_are_solved_one_by_one_and_the_net_is_left_alone() -> None:
    net = network.two_house_feeder()
    loads = net.load.copy()
    active = torch.tensor([[0.0, 10.0, 5.0], [0.0, 1e4, 0.0], [0.0, -10.0, 0.0]], dtype=torch.float64)
    flow = reference.run(net, active, torch.zeros_like(active))
    assert flow.converged.tolist() == [True, False, True]
    assert flow.voltage[1].isnan().all()  # a judge has no opinion where there is no solution
    assert flow.loading[1].isnan().all()
    assert flow.voltage[0].argmin() == 1  # the house that takes most
    assert flow.voltage[2].argmax() == 1  # the house that feeds in
    assert 0.55 < float(flow.loading[0, 2]) < 0.65  # 15 of 25 kVA and losses
    assert net.load.equals(loads)
    assert "load" in net and not net.get("converged")


def test_what_the_model_refuses_pandapower_solves() -> None:
    """A ring of two houses with a generator that holds the voltage of one."""
    net = network.two_house_feeder()
    pp.create_line(net, 2, 3, 0.05, "NAYY 4x50 SE")
    pp.create_gen(net, 3, p_mw=0.005, vm_pu=1.01)
    with pytest.raises(GridError, match=r"gen 0.*reference\.solve"):
        network.from_pandapower(net)
    elements = [("line", 0), ("line", 1), ("line", 2), ("trafo", 0)]
    active = torch.tensor([[10.0, 0.0], [20.0, 0.0]], dtype=torch.float64)
    flow = reference.solve(net, [2, 3], elements, active, torch.zeros_like(active))
    assert flow.converged.all()
    assert flow.voltage[:, 1].tolist() == pytest.approx([1.01, 1.01])
    assert (flow.voltage[:, 0] < 1.01).all() and flow.voltage[1, 0] < flow.voltage[0, 0]
    assert (flow.loading > 0.0).all()
