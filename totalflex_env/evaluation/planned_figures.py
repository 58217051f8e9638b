"""What an optimiser planned beside what came of it: energy, flows and cost, as numbers and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from totalflex_env.evaluation.figures import INK, MUTED, Clock, canvas, colours, svg
from totalflex_env.evaluation.results import CAUSES, KINDS, Array, Program, Results

OUTSIDE = ("base load", "photovoltaics")
"""Kinds that no plan decides about; the others are devices."""


def compared(result: Results, plan: Program, slot_hours: float) -> list[tuple[str, float, float]]:
    """Return what is compared, the plan's number and the realised one, means per day."""
    energy = [_by_kind(power, slot_hours) for power in (plan.power_kw, result.power_kw)]
    net = [each.sum(axis=1).mean() * slot_hours for each in (plan.net_kw, result.net_kw)]
    outside = [sum(each[KINDS.index(kind)] for kind in OUTSIDE) for each in energy]
    devices = [each.sum() - out for each, out in zip(energy, outside)]
    wind = [each.sum() - taken for each, taken in zip(energy, net)]
    causes = [each.mean(axis=0) for each in (plan.causes_eur, result.causes_eur)]
    rows = [
        ("energy taken (kWh)", *net),
        ("of which houses and their sun (kWh)", *outside),
        ("of which devices (kWh)", *devices),
        ("less wind (kWh)", *wind),
        (
            "highest loading (% of rating)",
            *(100.0 * each.max(axis=1).mean() for each in (plan.loading, result.loading)),
        ),
        *((f"cost: {cause} (EUR)", planned, came) for cause, planned, came in zip(CAUSES, *causes)),
        ("cost (EUR)", causes[0].sum(), causes[1].sum()),
    ]
    return [(what, float(planned), float(came)) for what, planned, came in rows]


def missed_kw(result: Results, plan: Program) -> float:
    """Return the mean distance in kW between the net consumption planned and taken, over all slots of all days."""
    return float(np.abs(result.net_kw - plan.net_kw).mean())


def table(result: Results, plan: Program, slot_hours: float) -> str:
    """Return the comparison as an HTML table."""
    lines = [
        f"<tr><td>{escape(what)}</td><td>{planned:.2f}</td><td>{came:.2f}</td><td>{came - planned:+.2f}</td></tr>"
        for what, planned, came in compared(result, plan, slot_hours)
    ]
    head = "<tr><th>mean per day</th><th>planned</th><th>realised</th><th>difference</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'


def why(result: Results, plan: Program) -> str:
    """Return in two sentences, as HTML, how far plan and outcome are apart and by which causes of cost."""
    difference = (result.causes_eur - plan.causes_eur).mean(axis=0)
    order = [cause for cause in np.argsort(-np.abs(difference)) if abs(difference[cause]) >= 0.005]
    parts = ", ".join(f"{CAUSES[cause]} {difference[cause]:+.2f}" for cause in order) or "nothing as large as a cent"
    tangents = round(float(plan.planned_cost_eur.mean() - plan.causes_eur.sum(axis=1).mean()), 2) + 0.0  # no -0.00
    return (
        f"A day cost {difference.sum():+.2f} EUR against the plan: {parts}. Net consumption was "
        f"{missed_kw(result, plan):.2f} kW off the plan on average. The program put its plan {tangents:+.2f} EUR "
        "beside what the engine's equations say of it: the grid is linear there, and uncertainty has a price."
    )


def figure(result: Results, plan: Program, shown: tuple[str, int], clock: Clock) -> str:
    """Draw net consumption and loading of a day as planned and as realised, energy by kind and cost by cause.

    `shown` is the policy's name and the day whose curves are drawn; energy and cost are means over all days.
    """
    name, day = shown
    drawing, (net, loading, energy, cost) = canvas(2, 2, 6.2)
    colour, edges = colours([name])[name], clock.edges(plan.net_kw.shape[1])
    for axes, planned, came, title in (
        (net, plan.net_kw[day], result.net_kw[day], "net consumption less wind (kW)"),
        (loading, plan.loading[day], result.loading[day], "highest loading (% of rating)"),
    ):
        axes.stairs(planned, edges, color=MUTED, linewidth=1.6, baseline=None)
        axes.stairs(came, edges, color=colour, linewidth=1.6, baseline=None)
        axes.set_title(title)
        clock.label(axes, len(planned))
    loading.axhline(1.0, color=INK, linestyle="--", linewidth=1.0)
    loading.yaxis.set_major_formatter(PercentFormatter(1.0))
    loading.set_ylim(bottom=0.0)
    kinds = [_by_kind(power, clock.slot_hours) for power in (plan.power_kw, result.power_kw)]
    _pairs(energy, KINDS, kinds, colour)
    energy.set_title("energy by kind (kWh per day)")
    _pairs(cost, CAUSES, [each.mean(axis=0) for each in (plan.causes_eur, result.causes_eur)], colour)
    cost.set_title("cost by cause (EUR per day)")
    drawing.legend(*energy.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return svg(drawing)


def _by_kind(power: Array, slot_hours: float) -> Array:
    """Return the energy [kinds] kWh of a day, mean over the days of power [D, T, kinds] kW."""
    energy: Array = power.sum(axis=1).mean(axis=0) * slot_hours
    return energy


def _pairs(axes: Axes, names: Sequence[str], values: Sequence[Array], colour: str) -> None:
    """Draw a bar for the plan and one for what came of it under each name for which either is not zero."""
    told = [i for i in range(len(names)) if any(abs(each[i]) > 1e-9 for each in values)]
    place = np.arange(len(told))
    for shift, each, shade, label in zip((-0.19, 0.19), values, (MUTED, colour), ("planned", "realised")):
        axes.barh(place + shift, each[told], height=0.36, color=shade, label=label)
    axes.set_yticks(place, [names[i] for i in told])
    axes.axvline(0.0, color=MUTED, linewidth=0.8)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
