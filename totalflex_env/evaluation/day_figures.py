"""The picture of one day: prices, production, what houses and devices take, and how the grid carries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from totalflex_env.evaluation.day import ShownDay
from totalflex_env.evaluation.figures import INK, MUTED, Clock, style
from totalflex_env.evaluation.labels import counted, plural
from totalflex_env.evaluation.results import Array

COLOURS = ("#2e6f95", "#3fa66b", "#d1495b", "#8d6a9f", "#66a6b8", "#b08968", "#c23b80", "#5b7f3a", "#e07a1f", "#1b998b")
"""Of the kinds of devices, in their order."""

BASE, DEVICES, SUN, WIND = "#9aa5b1", "#46627f", "#edae49", "#66a6b8"
SUNNY = "plants with their batteries"
"""Photovoltaics, what SimBench's batteries keep of it for the evening, on medium voltage any plants."""

FREE = 0.90
"""Grey of a slot in which a device could have acted otherwise."""

ROW_INCHES = 0.06
ROWS = (24, 80)
"""Fewest and most rows of devices that make the picture higher."""


def save(day: ShownDay, path: Path) -> None:
    """Draw a day into a file, in the format that its name ends in; equal days make equal SVG files."""
    with style():
        draw(day).savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw(day: ShownDay) -> Figure:
    """Return the figure of a day: six panels under one clock; to be called and saved within `style()`."""
    clock = Clock(day.start_hour, day.slot_hours)
    kinds = list(dict.fromkeys(day.kinds))
    palette = dict(zip(kinds, COLOURS * len(kinds)))
    rows = ROW_INCHES * float(np.clip(len(day.kinds), *ROWS))
    figure = Figure(figsize=(10.0, 10.2 + rows))
    panels = list(figure.subplots(6, 1, height_ratios=[1.5, 1.3, 1.9, 1.9, 1.7, 0.3 + rows]))
    figure.suptitle(f"{day.name}: the day of seed {day.seed}, devices left to their own controllers", fontsize=12)
    edges = clock.edges(day.slots)
    _prices(panels[0], day, edges)
    _weather(panels[1], day, edges)
    _houses(panels[2], day, edges)
    _kinds(panels[3], day, edges, palette)
    _loading(panels[4], day, edges)
    _devices(panels[5], day, edges, palette)
    for axes in panels:
        clock.label(axes, day.slots)
    panels[-1].set_xlabel("local time")
    return figure


def _prices(axes: Axes, day: ShownDay, edges: Array) -> None:
    for values, name, colour in (
        (day.up, "for energy short of what was bought", "#d1495b"),
        (day.down, "for energy beyond it", "#2e6f95"),
        (day.spot, "day-ahead", INK),
    ):
        axes.stairs(1e3 * values, edges, color=colour, label=name, linewidth=1.6, baseline=None)
    axes.set_title("What energy costs")
    axes.set_ylabel("EUR/MWh")
    _legend(axes)


def _weather(axes: Axes, day: ShownDay, edges: Array) -> None:
    axes.stairs(day.pv_kw, edges, fill=True, color=SUN, label=SUNNY)
    axes.stairs(day.wind_kw, edges, color=WIND, label="wind park", linewidth=1.6, baseline=None)
    low, high = day.temperature.min(), day.temperature.max()
    axes.set_title(f"What plants at the houses and the wind park produce; outdoors {low:.0f} to {high:.0f} °C")
    axes.set_ylabel("power (kW)")
    axes.set_ylim(bottom=0.0)
    _legend(axes)


def _houses(axes: Axes, day: ShownDay, edges: Array) -> None:
    together = day.device_kw.sum(axis=1)
    _stack(axes, edges, [("base load", day.base_kw, BASE), ("devices", together, DEVICES), (SUNNY, -day.pv_kw, SUN)])
    axes.stairs(day.houses, edges, color=INK, linewidth=1.4, label="sum: what the grid brings", baseline=None)
    axes.set_title("What the houses take, below zero what they produce")
    _legend(axes)


def _kinds(axes: Axes, day: ShownDay, edges: Array, palette: Mapping[str, str]) -> None:
    powers = {kind: day.device_kw[:, day.of_kind(kind)].sum(axis=1) for kind in palette}
    _stack(axes, edges, [(plural(kind), powers[kind], palette[kind]) for kind in palette])
    axes.set_title("What their devices take")
    _legend(axes)


def _stack(axes: Axes, edges: Array, parts: Sequence[tuple[str, Array, str]]) -> None:
    """Stack what is taken upwards from zero and what is given downwards; a part has a name, kW [T] and a colour."""
    above, below = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for name, power, colour in parts:
        if power.any():
            up, down = power.clip(min=0.0), power.clip(max=0.0)
            axes.stairs(above + up, edges, baseline=above, fill=True, color=colour, linewidth=0, label=name)
            axes.stairs(below + down, edges, baseline=below, fill=True, color=colour, linewidth=0)
            above, below = above + up, below + down
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set_ylabel("power (kW)")


def _loading(axes: Axes, day: ShownDay, edges: Array) -> None:
    worst = day.worst_element()
    others = np.delete(day.loading, worst, axis=1)
    if others.size:
        axes.stairs(others.max(axis=1), edges, color=BASE, label="highest of all other elements", baseline=None)
    axes.stairs(day.loading[:, worst], edges, color="#d1495b", label=day.elements[worst], linewidth=1.8, baseline=None)
    axes.axhline(1.0, color=INK, linestyle="--", linewidth=1.0)
    axes.annotate("rating", (0.005, 1.0), xycoords=("axes fraction", "data"), va="bottom", fontsize=8.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0.0, max(1.15, 1.05 * float(day.loading.max())))
    axes.set_title("How the grid carries it")
    axes.set_ylabel("loading")
    _legend(axes)


def _devices(axes: Axes, day: ShownDay, edges: Array, palette: Mapping[str, str]) -> None:
    """One row per device: its colour where it runs, grey where it could have run otherwise."""
    picture = np.ones((len(day.kinds), day.slots, 3))
    picture[day.free.T] = FREE
    share = np.abs(day.device_kw) / np.abs(day.device_kw).max(axis=0, initial=1e-9)
    for device, kind in enumerate(day.kinds):
        strength = 0.25 + 0.75 * share[:, device, None]
        running = share[:, device] > 0.01
        coloured = 1.0 - strength * (1.0 - np.array(to_rgb(palette[kind])))
        picture[device, running] = coloured[running]
    axes.imshow(
        picture, aspect="auto", interpolation="nearest", extent=(edges[0], edges[-1], len(day.kinds) - 0.5, -0.5)
    )
    middles = [float(day.of_kind(kind).mean()) for kind in palette]
    axes.set_yticks(middles, [counted(kind, len(day.of_kind(kind))) for kind in palette])
    for kind in palette:
        axes.axhline(float(day.of_kind(kind).max()) + 0.5, color=MUTED, linewidth=0.8)
    axes.grid(visible=False)
    axes.set_title("Devices one by one: coloured while they run, grey while they could run or wait")


def _legend(axes: Axes) -> None:
    """Put the legend beside the panel, where it hides no curve."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
