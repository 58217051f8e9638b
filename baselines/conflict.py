"""Naming what stands in the way of a plan: rows and variables of a program as constraints of devices and grid."""

from __future__ import annotations

from collections import Counter

from baselines.owners import devices_of
from baselines.program import Program
from baselines.solver import Index
from totalflex_env.errors import InfeasibleError
from totalflex_env.linear_types import named
from totalflex_env.types import Params

GRID = "the grid and the market"
LIMITS = "limits of its energies and states"


def explain(program: Program, params: Params, rows: Index, columns: Index) -> InfeasibleError:
    """Return the error that names whose constraints the `rows` and bounds of the `columns` are, and which ones."""
    names = [name for name, count in named(program.block) for _ in range(count)]
    of_column, of_row = devices_of(program.block, program.device_rows)
    found = [(int(of_row[row]), names[row]) for row in rows.tolist()]
    found += [(int(of_column[column]), LIMITS) for column in columns.tolist()]
    return InfeasibleError([_told(params, *each, times) for each, times in Counter(found).items()])


def _told(params: Params, device: int, constraint: str, times: int) -> str:
    owner = GRID
    if device >= 0:
        kind = params.kinds[device]
        owner = f"{kind} {params.kinds[:device].count(kind)} in house {int(params.house[device])}"
    return f"{constraint} of {owner}" + f" ({times} times)" * (times > 1)
