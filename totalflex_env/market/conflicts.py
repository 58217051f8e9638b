"""Why a book has no allocation: the limits that nobody can keep, and the orders that use them whatever they do.

The master keeps hard rows at a price far above every bid (an elastic filter, Chinneck 2008), so that an optimum exists
always. Where it still uses that price, a row cannot be kept. An order is part of the conflict if every schedule of it
adds to what is too much there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.errors import InfeasibleError
from totalflex_env.market.patterns import answers
from totalflex_env.market.relaxation import Relaxation

MISSED = 1e-6  # kWh or p.u.


def require_feasible(relaxation: Relaxation, forced_id: Tensor) -> None:
    """Raise an InfeasibleError that names limits, slots and orders if the relaxation could not keep a hard row.

    `forced_id` int64 are the ids of the orders that must run, whoever else is accepted in the relaxation.
    """
    book, solution = relaxation.book, relaxation.solution
    unmet, beyond = solution.unmet, solution.beyond
    if float(unmet.abs().max()) <= MISSED and (not beyond.numel() or float(beyond.abs().max()) <= MISSED):
        return
    direction = torch.where(unmet.abs() > MISSED, unmet.sign(), 0.0)
    pushed = torch.where(beyond.abs() > MISSED, beyond.sign(), 0.0)
    nodal = direction + book.limits.sensitivity.T @ pushed
    names = [f"the balance of slot {slot}" for slot in direction.nonzero()[:, 0].tolist()]
    names += [f"{book.limits.name[row]} in slot {slot}" for row, slot in pushed.nonzero().tolist()]
    least, _ = answers(relaxation.patterns, nodal * relaxation.master.hard)
    forced = (nodal[book.orders.node] * least.deviation).sum(1) > MISSED
    orders = book.orders.id[forced & torch.isin(book.orders.id, forced_id)].tolist()
    raise InfeasibleError([*names, *(f"order {order} must run" for order in orders)])
