"""What of a pandapower net can be modelled: everything else is refused by the name of the element."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from totalflex_env.errors import GridError

Net: TypeAlias = Any  # pandapower.pandapowerNet; pandapower ships no types

CONSUMERS = ("load", "sgen", "storage")  # their power is an input of the power flow, not a part of the grid
_UNSUPPORTED = (
    *("gen", "motor", "asymmetric_load", "asymmetric_sgen", "ward", "xward", "trafo3w", "impedance", "dcline"),
    *("svc", "ssc", "tcsc", "vsc", "vsc_stacked", "vsc_bipolar", "line_dc"),
)
_SUPPORTED = "lines, two-winding transformers, shunts, switches and loads; grid.reference.solve takes the rest"
_NEEDED = {  # columns that must hold a positive number
    "bus": ("vn_kv",),
    "ext_grid": ("vm_pu",),
    "line": ("max_i_ka", "df", "parallel", "length_km"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "df", "parallel"),
}
_FINITE = {  # columns that must hold a number
    **{table: ("p_mw", "q_mvar") for table in CONSUMERS},
    "shunt": ("p_mw", "q_mvar"),
    "line": ("r_ohm_per_km", "c_nf_per_km"),
    "trafo": ("vkr_percent", "pfe_kw", "i0_percent", "shift_degree"),
}


def label(net: Net, table: str, index: int) -> str:
    """Name of an element for people: its table, index and, where it has one, its own name."""
    name = net[table].at[index, "name"]
    return f"{table} {index} ({name})" if isinstance(name, str) and name else f"{table} {index}"


def prepared(net: Net) -> Net:
    """A checked copy of the net, ready for a power flow: without consumption, tap positions in effect."""
    _refuse_unsupported(net)
    _refuse_missing_numbers(net)
    _refuse_empty_bands(net)
    return without_consumption(net)


def without_consumption(net: Net) -> Net:
    """A copy of any net with its loads, static generators and storages switched off, tap positions in effect."""
    net = copy.deepcopy(net)
    for table in CONSUMERS:
        net[table]["in_service"] = False
    # SimBench leaves the type of tap changer open, and pandapower >= 3 then ignores the tap position.
    net.trafo.loc[net.trafo.tap_changer_type.isna() & net.trafo.tap_step_percent.notna(), "tap_changer_type"] = "Ratio"
    return net


def _refuse_unsupported(net: Net) -> None:
    for table in _UNSUPPORTED:
        for index in _in_service(net, table):
            raise GridError(label(net, table, index), "in service", _SUPPORTED)
    sources = list(_in_service(net, "ext_grid"))
    if len(sources) != 1:
        raise GridError("ext_grid", f"{len(sources)} in service", "exactly one external grid")
    dependent = net.load.filter(regex="^const_[zi]_[pq]_percent$").ne(0.0).any(axis=1)
    for index in net.load.index[net.load.in_service & dependent]:
        raise GridError(label(net, "load", index), "voltage-dependent", "constant power")


def _refuse_missing_numbers(net: Net) -> None:
    for table, columns in _NEEDED.items():
        for index in _in_service(net, table):
            for column in columns:
                value = float(net[table].at[index, column])
                if not 0.0 < value < np.inf:
                    raise GridError(f"{label(net, table, index)}, {column}", value, "a number above 0")
    for table, columns in _FINITE.items():
        for index in _in_service(net, table):
            for column in columns:
                value = float(net[table].at[index, column])
                if not np.isfinite(value):
                    raise GridError(f"{label(net, table, index)}, {column}", value, "a number")
    for index in _in_service(net, "line"):
        reactance = float(net.line.at[index, "x_ohm_per_km"])
        # pandapower starts from a DC power flow, which divides by it.
        if reactance == 0.0 or not np.isfinite(reactance):
            raise GridError(f"{label(net, 'line', index)}, x_ohm_per_km", reactance, "a number other than 0")


def _refuse_empty_bands(net: Net) -> None:
    bands = net.bus.reindex(columns=["min_vm_pu", "max_vm_pu"]).astype(float)
    for index in net.bus.index[bands.min_vm_pu > bands.max_vm_pu]:
        band = f"{bands.min_vm_pu[index]:g} to {bands.max_vm_pu[index]:g}"
        raise GridError(
            f"{label(net, 'bus', index)}, min_vm_pu to max_vm_pu", band, "a lower limit not above the upper one"
        )


def _in_service(net: Net, table: str) -> Iterable[int]:
    """Indices of the elements of a table that are in service; none where the net has no such table."""
    if table not in net or net[table].empty:
        return ()
    return (int(index) for index in net[table].index[net[table].in_service.astype(bool)])
