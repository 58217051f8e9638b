from __future__ import annotations

import torch

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
