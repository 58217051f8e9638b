"""The figures of the study of mechanisms, each an SVG text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import PercentFormatter

from totalflex_env.evaluation.books import PARTIES
from totalflex_env.evaluation.counterfactual import Bias
from totalflex_env.evaluation.exploitability import Gain
from totalflex_env.evaluation.figures import INK, MUTED, Clock, canvas, colours, legend_above, style, svg
from totalflex_env.evaluation.incentive import COMFORTS, Incentive
from totalflex_env.evaluation.labels import plural
from totalflex_env.evaluation.manipulation import Manipulation
from totalflex_env.evaluation.mechanisms import Cliff
from totalflex_env.evaluation.regimes import BLIND, MARKET, PRICE_ONLY, Regime

SVG_HEAD = '<?xml version="1.0" encoding="utf-8" standalone="no"?>\n'
BLUE, RED, ORANGE, GREEN = "#2e6f95", "#d1495b", "#e07a1f", "#3fa66b"
PLACES = {
    "house": (0.1, 0.36),
    "aggregator": (0.33, 0.88),
    "BRP": (0.55, 0.36),
    "DSO": (0.86, 0.88),
    "world": (0.93, 0.36),
}
SIDES = {("aggregator", "house"): ("right", (-16, -4)), ("BRP", "aggregator"): ("left", (16, -4))}
"""Where the labels of slanting arrows stand; those of level ones are above."""

NAMES = {
    "house": "houses",
    "aggregator": "aggregator",
    "BRP": "balance\nresponsible",
    "DSO": "grid\noperator",
    "world": "spot and\nimbalance",
}
LABELS = {
    "retail": "retail",
    "balance": "flexibility",
    "grid": "use of the grid",
    "shared": "flexibility income",
    "penalty": "penalties",
    "wholesale": "energy",
}


def pictures(regimes: dict[str, Regime], clock: Clock) -> dict[str, str]:
    """Return what price alone does and who pays whom as SVG files, by their names."""
    with style():
        drawn = {
            "market.svg": loading(regimes, worst_day(regimes), clock),
            "money.svg": flows(regimes, (PRICE_ONLY, MARKET)),
        }
    return {name: SVG_HEAD + picture for name, picture in drawn.items()}


def worst_day(regimes: dict[str, Regime]) -> int:
    """Return the number of the day on which prices alone load the transformer most."""
    return int(np.argmax(regimes[PRICE_ONLY].transformer.max(axis=1)))


def loading(regimes: dict[str, Regime], day: int, clock: Clock) -> str:
    """Draw the loading of the transformer over a day, and of the element loaded most, a curve for every regime."""
    figure, panels = canvas(2, 1, 5.6, share=True)
    palette = colours(list(regimes))
    for axes, title in zip(panels, ("transformer", "transformer or cable loaded most")):
        for name, one in regimes.items():
            curve = one.transformer[day] if axes is panels[0] else one.results.loading[day]
            line = "--" if name == BLIND else "-"  # lies upon that of the price alone wherever both herd
            edges = clock.edges(len(curve))
            axes.stairs(curve, edges, color=palette[name], label=name, linewidth=1.7, baseline=None, linestyle=line)
        axes.axhline(1.0, color=INK, linestyle="--", linewidth=1.0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(bottom=0.0)
        axes.set_ylabel("% of rating")
        axes.set_title(title)
        clock.label(axes, len(curve))
    legend_above(panels[0])
    return svg(figure)


def flows(regimes: dict[str, Regime], shown: Sequence[str]) -> str:
    """Draw who pays whom under the regimes `shown`, mean EUR per day; arrows point the way the money goes."""
    figure, panels = canvas(1, len(shown), 3.6)
    for axes, name in zip(panels, shown):
        _flow(axes, regimes[name].flows_eur)
        unpaid = -float(regimes[name].results.causes_eur[:, 2:4].sum(axis=1).mean())
        note = f"beside these payments, overload harms the grid operator by {-unpaid:.2f} EUR/day"
        axes.annotate(note, (0.5, 0.06), ha="center", fontsize=8.5, color=RED if unpaid < -1.0 else MUTED)
        axes.set_title(name)
    return svg(figure)


def _flow(axes: Axes, amounts: dict[str, float]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0.0, 1.05)
    axes.set_ylim(-0.06, 1.0)
    most = max(abs(amount) for amount in amounts.values())
    pairs: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for purpose, amount in amounts.items():
        if abs(amount) >= 0.005:
            payer, payee = PARTIES[purpose] if amount > 0.0 else PARTIES[purpose][::-1]
            pairs.setdefault((payer, payee), []).append((LABELS[purpose], abs(amount)))
    for (payer, payee), parts in pairs.items():
        total = sum(amount for _, amount in parts)
        begin, end = PLACES[payer], PLACES[payee]
        arrow = FancyArrowPatch(
            begin,
            end,
            shrinkA=32,
            shrinkB=32,
            mutation_scale=13,
            linewidth=1.0 + 5.0 * total / most,
            color=BLUE,
            alpha=0.55,
        )
        axes.add_patch(arrow)
        middle = (np.array(begin) + np.array(end)) / 2.0
        text = "\n".join(f"{label}\n{amount:.2f}" for label, amount in parts)
        side, offset = SIDES.get((min(payer, payee), max(payer, payee)), ("center", (0, 6)))
        low = "bottom" if side == "center" else "center"
        axes.annotate(text, tuple(middle), offset, textcoords="offset points", ha=side, va=low, fontsize=8)
    for party, place in PLACES.items():
        box = FancyBboxPatch(
            (place[0] - 0.085, place[1] - 0.06),
            0.17,
            0.12,
            boxstyle="round,pad=0.01",
            facecolor="#f5f7fa",
            edgecolor=MUTED,
        )
        axes.add_patch(box)
        axes.annotate(NAMES[party], place, ha="center", va="center", fontsize=8.5, color=INK)


def scarcity(market: Regime, day: int, clock: Clock) -> str:
    """Draw the price of energy at the houses over a day: of balance alone, and the range that the grid makes of it."""
    figure, (axes,) = canvas(1, 1, 2.9)
    nodal, slots = 1e3 * market.nodal[day], market.nodal.shape[1]
    balance = 1e3 * market.statement.balance_price.reshape(-1, slots)[day].numpy() / 1e6
    edges = clock.edges(slots)
    low, high = nodal.min(axis=1), nodal.max(axis=1)
    axes.stairs(high, edges, baseline=low, fill=True, color=RED, alpha=0.3, linewidth=0, label="range over the houses")
    axes.stairs(high, edges, baseline=None, color=RED, linewidth=1.0, label="dearest house")
    axes.stairs(balance, edges, baseline=None, color=INK, linewidth=1.6, label="balance")
    axes.stairs(1e3 * market.results.spot[day], edges, baseline=None, color=MUTED, linewidth=1.2, label="day-ahead")
    axes.use_sticky_edges = False  # or the lowest price would lie on the frame
    axes.set_ylabel("EUR/MWh")
    clock.label(axes, slots)
    legend_above(axes)
    return svg(figure)


def baselines(biases: dict[str, Bias], games: dict[str, Manipulation]) -> str:
    """Draw what each baseline method is wrong by, and what an adversary gains from it."""
    names = list(biases)
    figure, (left, right) = canvas(1, 2, 0.36 * len(names) + 1.1)
    rows = np.arange(len(names))
    left.barh(rows, [biases[name].absolute_kwh for name in names], color="#b9cfdc", height=0.62, label="mean distance")
    left.plot([biases[name].mean_kwh for name in names], rows, "D", color=INK, markersize=5, label="bias")
    left.axvline(0.0, color=MUTED, linewidth=0.8)
    left.set_xlabel("kWh per slot and house")
    left.set_title("distance from the true counterfactual")
    right.barh(rows, [games[name].gain_eur for name in names], color=RED, height=0.62, label="mean house")
    right.plot([games[name].largest_eur for name in names], rows, "o", color=INK, markersize=4, label="luckiest house")
    right.set_xlabel("EUR per call and house")
    right.set_title("gain of an adversary")
    for axes in (left, right):
        axes.set_yticks(rows, [name.replace("_", " ") for name in names] if axes is left else [""] * len(names))
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return svg(figure)


def cliffs(found: dict[str, Cliff], price: float) -> str:
    """Draw the share of an order that pays best against what delivering it costs, under each delivery rule."""
    figure, (axes,) = canvas(1, 1, 3.0)
    for (rule, one), colour in zip(found.items(), (BLUE, GREEN, RED, ORANGE)):
        axes.plot(np.array(one.costs) / price, one.shares, color=colour, label=rule.replace("_", " "), linewidth=1.8)
    axes.set_xlabel("marginal cost of the last kWh of the order, as a multiple of its price")
    axes.set_ylabel("share that pays best")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0.0, 1.04)
    axes.set_xlim(0.0, one.costs[-1] / price)
    legend_above(axes)
    return svg(figure)


def hands(gains: Sequence[Gain]) -> str:
    """Draw what misreports earn in the intraday market by the number of houses in one hand."""
    figure, (axes,) = canvas(1, 1, 2.6)
    places = np.arange(len(gains))
    axes.bar(
        places, [100.0 * gain.surplus_eur for gain in gains], color="#b9cfdc", width=0.55, label="surplus of the truth"
    )
    top = [100.0 * gain.surplus_eur for gain in gains]
    axes.bar(
        places,
        [100.0 * gain.mean_eur for gain in gains],
        bottom=top,
        color=RED,
        width=0.55,
        label="gain of the best misreport",
    )
    axes.set_xticks(places, [f"{gain.houses} house{'s' * (gain.houses > 1)} in one hand" for gain in gains])
    axes.set_ylabel("cents per slot and house")
    axes.grid(axis="x", visible=False)
    legend_above(axes)
    return svg(figure)


def incentives(found: Sequence[Incentive]) -> str:
    """Draw what a device earns its household in a year, by kind and comfort setting."""
    kinds = list(dict.fromkeys(one.kind for one in found))
    figure, (axes,) = canvas(1, 1, 2.9)
    width = 0.8 / len(COMFORTS)
    for number, (comfort, colour) in enumerate(zip(COMFORTS, ("#b9cfdc", BLUE, "#163f55"))):
        earned = [
            next(one.income_eur for one in found if (one.kind, one.comfort) == (kind, comfort.name)) for kind in kinds
        ]
        values = np.array([one.value for one in earned])
        reach = np.abs(np.array([(one.lower, one.upper) for one in earned]).T - values)
        places = np.arange(len(kinds)) + (number - 1) * width
        axes.bar(places, values, width, yerr=reach, ecolor=MUTED, color=colour, label=comfort.name)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set_xticks(np.arange(len(kinds)), [plural(kind) for kind in kinds])
    axes.set_ylabel("EUR per device and year")
    axes.grid(axis="x", visible=False)
    legend_above(axes)
    return svg(figure)
