"""The figures, each an SVG text: dispatch, loading, prices, money, scores, how it was learned, and what is forecast."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from totalflex_env.evaluation.metrics import Metrics
from totalflex_env.evaluation.results import CAUSES, KINDS, ROLES, Array, Results
from totalflex_env.grid.forecast import GridForecast

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ed"
KIND_COLOURS = ("#9aa5b1", "#d1495b", "#66a6b8", "#8d6a9f", "#2e6f95", "#3fa66b", "#edae49", "#5c4b51")
CAUSE_COLOURS = ("#9aa5b1", "#2e6f95", "#d1495b", "#8d6a9f", "#edae49", "#66a6b8")
ROLE_COLOURS = ("#3fa66b", "#2e6f95", "#edae49", "#8d6a9f")
FIRST_COLOURS = {
    "default_schedule": "#6b7785",
    "price_greedy": "#d1495b",
    "timer": "#b08968",
    "rolling_milp": "#2e6f95",
    "foresight_milp": "#66a6b8",
    "no activation": "#6b7785",
    "price only": "#d1495b",
    "market without grid": "#edae49",
    "flexibility market": "#2e6f95",
}
FURTHER_COLOURS = ("#e07a1f", "#3fa66b", "#8d6a9f", "#c23b80")
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": GRID,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "totalflex",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


STEPS_H = (0.25, 0.5, 1.0, 3.0, 6.0, 12.0, 24.0)
"""Hours between the marks of a clock: the least that leave no more than nine marks."""


@dataclass(frozen=True)
class Clock:
    """How slots become hours on the axes."""

    start_hour: int
    slot_hours: float

    def edges(self, slots: int) -> Array:
        """Return the hours [T + 1] at which slots begin, and the last one ends."""
        return self.start_hour + self.slot_hours * np.arange(slots + 1, dtype=np.float64)

    def label(self, axes: Axes, slots: int) -> None:
        """Name the hours of an axis as a clock shows them."""
        edges = self.edges(slots)
        hours = float(edges[-1] - edges[0])
        step = next((each for each in STEPS_H if hours <= 8.0 * each), 24.0 * np.ceil(hours / 192.0))
        ticks = np.arange(edges[0], edges[-1] + 1e-9, step)
        days = [f"\nday {int(hour - edges[0]) // 24 + 1}" if hours > 48.0 else "" for hour in ticks]
        axes.set_xticks(ticks, [f"{int(at) % 24:02d}:{at % 1 * 60:02.0f}{day}" for at, day in zip(ticks, days)])
        axes.set_xlim(edges[0], edges[-1])


class CurvePoint(Protocol):
    """One validation during a training."""

    @property
    def seconds(self) -> float:
        """Training time so far."""

    @property
    def steps(self) -> int:
        """Slots so far, over all copies of the world."""

    @property
    def validation_cost_eur(self) -> float:
        """Mean per validation day."""


def style() -> AbstractContextManager[None]:
    """Return the context in which all figures are drawn, so that they look alike."""
    return mpl.rc_context(STYLE)  # type: ignore[arg-type]  # the stubs name every key


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return one colour per policy, the same in every figure."""
    further = iter(FURTHER_COLOURS * len(names))
    return {name: FIRST_COLOURS[name] if name in FIRST_COLOURS else next(further) for name in names}


def scores(measured: Metrics) -> str:
    """Draw the score and the causal score of every policy with their intervals."""
    policies = measured["policies"]
    palette = colours(list(policies))
    figure, panels = canvas(1, 2, 0.34 * len(policies) + 1.1)
    for axes, title, values, intervals in (
        (panels[0], "score (perfect foresight = 1)", "score", "score_ci"),
        (panels[1], "causal score (rolling optimiser = 1)", "causal_score", "causal_score_ci"),
    ):
        for row, (name, figures) in enumerate(policies.items()):
            lower, upper = figures[intervals]  # type: ignore[literal-required]
            axes.plot([lower, upper], [row, row], color=palette[name], linewidth=4, alpha=0.35, solid_capstyle="round")
            axes.plot(figures[values], row, "o", color=palette[name], markersize=7)  # type: ignore[literal-required]
        axes.axvline(0.0, color=MUTED, linewidth=0.8)
        axes.axvline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(policies)), list(policies))
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_title(title)
    return svg(figure)


def dispatch(results: Mapping[str, Results], day: int, clock: Clock) -> str:
    """Draw what every kind of device took in each slot of a day, one panel per policy."""
    columns = 2
    figure, panels = canvas(-(-len(results) // columns), columns, 2.3 * -(-len(results) // columns) + 0.5, share=True)
    for axes, (name, result) in zip(panels, results.items()):
        power = result.power_kw[day]
        edges = clock.edges(len(power))
        _stack(axes, edges, power)
        axes.stairs(power.sum(axis=1), edges, color=INK, linewidth=1.3, label="sum of the houses")
        axes.set_title(name)
        axes.set_ylabel("power (kW)")
        clock.label(axes, len(power))
    for axes in panels[len(results) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return svg(figure)


def loading(results: Mapping[str, Results], shown: Sequence[str], day: int, clock: Clock) -> str:
    """Draw the loading of the element loaded most over a day, under the policies `shown`."""
    palette = colours(list(results))
    figure, (axes,) = canvas(1, 1, 3.4)
    for name in shown:
        curve = results[name].loading[day]
        axes.stairs(curve, clock.edges(len(curve)), color=palette[name], label=name, linewidth=1.8, baseline=None)
        clock.label(axes, len(curve))
    axes.axhline(1.0, color=INK, linestyle="--", linewidth=1.0)
    axes.annotate("rating", (0.005, 1.0), xycoords=("axes fraction", "data"), va="bottom", fontsize=8.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("highest loading (% of rating)")
    legend_above(axes)
    return svg(figure)


def prices(result: Results, name: str, day: int, clock: Clock) -> str:
    """Draw the prices of a day, and what `name` bought day-ahead beside what it took."""
    figure, (upper, lower) = canvas(2, 1, 4.4)
    edges = clock.edges(result.spot.shape[1])
    for values, label, colour in (
        (result.up[day], "short of the nomination", "#d1495b"),
        (result.down[day], "beyond the nomination", "#2e6f95"),
        (result.spot[day], "day-ahead", INK),
    ):
        upper.stairs(1e3 * values, edges, color=colour, label=label, linewidth=1.6, baseline=None)
    upper.set_title("price of energy")
    upper.set_ylabel("EUR/MWh")
    lower.stairs(result.nomination_kw[day], edges, color=MUTED, label="bought day-ahead", linewidth=1.6, baseline=None)
    lower.stairs(result.net_kw[day], edges, color=colours([name])[name], label="taken", linewidth=1.6, baseline=None)
    lower.set_title(f"net consumption less wind: {name}")
    lower.set_ylabel("power (kW)")
    for axes in (upper, lower):
        legend_above(axes)
        clock.label(axes, result.spot.shape[1])
    return svg(figure)


def money(results: Mapping[str, Results]) -> str:
    """Draw the system cost by cause and the money of every role, means per day."""
    figure, panels = canvas(1, 2, 0.42 * len(results) + 2.0)
    names = list(results)
    causes = np.stack([result.causes_eur.mean(axis=0) for result in results.values()])
    roles = np.stack([result.money_eur.mean(axis=0) for result in results.values()])
    _bars(panels[0], names, causes, CAUSES, CAUSE_COLOURS)
    _bars(panels[1], names, roles, ROLES, ROLE_COLOURS)
    panels[0].set_title("system cost by cause")
    panels[1].set_title("money received by each role")
    panels[1].set_yticklabels([])
    return svg(figure)


def fan(forecast: GridForecast, element: int, clock: Clock, outcome: Array | None = None) -> str:
    """Draw the forecast loading of an element over a day: bands, median, limit, chance of overload, and the outcome."""
    figure, (upper, lower) = canvas(2, 1, 4.6, heights=(3.0, 1.0))
    curves, chance = forecast.loading[..., element].numpy(), forecast.overload[:, element].numpy()
    edges, middle = clock.edges(curves.shape[1]), len(curves) // 2
    for band in range(middle):
        low, high = curves[band], curves[-1 - band]
        share = f"{float(forecast.levels[-1 - band] - forecast.levels[band]):.0%} of outcomes"
        colour, strength = "#2e6f95", 0.22 + 0.28 * band / middle
        upper.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=strength, linewidth=0, label=share)
    upper.stairs(curves[middle], edges, color="#2e6f95", baseline=None, linewidth=1.8, label="median")
    if outcome is not None:
        upper.stairs(outcome, edges, color=INK, baseline=None, linewidth=1.4, label="outcome")
    upper.axhline(1.0, color="#d1495b", linestyle="--", linewidth=1.2)
    upper.annotate("rating", (0.005, 1.0), xycoords=("axes fraction", "data"), va="bottom", fontsize=8.5)
    upper.set_ylim(bottom=0.0)
    upper.set_ylabel("loading (% of rating)")
    lower.stairs(chance, edges, fill=True, color="#d1495b", linewidth=0)
    lower.set_ylim(0.0, 1.0)
    lower.set_ylabel("P(overload)")
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        clock.label(axes, curves.shape[1])
    legend_above(upper)
    return svg(figure)


def learning(curve: Sequence[CurvePoint]) -> str:
    """Draw the cost on the validation days against training time; the first point is the scripted rule."""
    figure, (axes,) = canvas(1, 1, 2.9)
    seconds, cost = [point.seconds for point in curve], np.array([point.validation_cost_eur for point in curve])
    axes.axhline(cost[0], color=MUTED, linestyle="--", linewidth=1.2, label="scripted rule")
    axes.plot(seconds, cost, color="#e9b489", marker="o", markersize=3, linewidth=1.2, label="policy")
    best = np.minimum.accumulate(cost)
    axes.plot(seconds, best, color=FURTHER_COLOURS[0], drawstyle="steps-post", label="best so far, which is kept")
    axes.set_xlabel(f"training time (s); {curve[-1].steps:,} steps in all")
    axes.set_ylabel("cost (EUR/day)")
    legend_above(axes)
    return svg(figure)


def canvas(
    rows: int, columns: int, height: float, share: bool = False, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure of the width of a report and its panels, row by row."""
    figure = Figure(figsize=(10.0, height))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share, height_ratios=heights)
    return figure, list(axes.flat)


def _stack(axes: Axes, edges: Array, power: Array) -> None:
    """Stack consumption upwards from zero, and production downwards."""
    above, below = np.zeros(len(power)), np.zeros(len(power))
    for kind, label in enumerate(KINDS):
        if not power[:, kind].any():
            continue
        up, down = power[:, kind].clip(min=0.0), power[:, kind].clip(max=0.0)
        colour = KIND_COLOURS[kind]
        axes.stairs(above + up, edges, baseline=above, fill=True, color=colour, linewidth=0, label=label)
        axes.stairs(below + down, edges, baseline=below, fill=True, color=colour, linewidth=0)
        above, below = above + up, below + down


def _bars(axes: Axes, names: Sequence[str], values: Array, parts: Sequence[str], palette: Sequence[str]) -> None:
    """Draw one horizontal bar per name, its parts [names, parts] stacked away from zero on either side."""
    right, left = np.zeros(len(names)), np.zeros(len(names))
    for part, label in enumerate(parts):
        if not values[:, part].any():
            continue
        width = values[:, part]
        axes.barh(names, width, left=np.where(width > 0.0, right, left), color=palette[part], label=label, height=0.62)
        right, left = right + width.clip(min=0.0), left + width.clip(max=0.0)
    axes.plot(values.sum(axis=1), range(len(names)), "D", color=INK, markersize=4, label="sum")
    axes.axvline(0.0, color=MUTED, linewidth=0.8)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("EUR per day")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def legend_above(axes: Axes) -> None:
    """Put the legend where it hides no curve: on the line of the title, at its right."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2)


def svg(figure: Figure) -> str:
    """Return a figure as the text of an SVG element."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
