"""A slot as a picture: the grid coloured by loading, what houses and devices take, and prices, up to this slot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from totalflex_env.engine.simulator import Simulator
from totalflex_env.grid_model import GridModel
from totalflex_env.types import Decision, Outcome, Params
from totalflex_env.units import from_micro_eur

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

INCHES, DOTS = (9.6, 5.4), 100
FULL_PCT = 120.0
"""Loading at which the colours end."""
COLOURS = LinearSegmentedColormap.from_list(
    "loading", [(0.0, "#b8c4ce"), (0.5, "#8fb339"), (0.75, "#f0a202"), (100.0 / FULL_PCT, "#d1495b"), (1.0, "#6a040f")]
)
"""Grey while little flows, visible on white, and red from the rating on."""
SPOT, DEVICES, NET, BOUGHT = "#9aa5b1", "#2e6f95", "#1b1f23", "#d1495b"


@dataclass
class Course:
    """What has happened since the day began, one number per slot."""

    net_kw: list[float] = field(default_factory=list)
    nomination_kw: list[float] = field(default_factory=list)
    devices_kw: list[float] = field(default_factory=list)
    spot: list[float] = field(default_factory=list)
    balance: list[float] = field(default_factory=list)


def layout(grid: GridModel) -> tuple[Array, Array]:
    """Return the place of every node [M, 2] and the two ends of every element [E, 2, 2] in a drawing of the tree.

    The slack stands left at (0, middle); each element leads to the right, and no two branches cross. Elements in
    parallel lie on each other, and one that carries nothing stays at the slack.
    """
    carries = (grid.downstream > 0.0).cpu().numpy()
    size = carries.sum(axis=1)
    paths = [tuple(sorted(np.flatnonzero(column), key=lambda each: (-size[each], each))) for column in carries.T]
    order = sorted(range(len(paths)), key=lambda node: paths[node])
    leaves = {node for node in order if not any(paths[node] == path[: len(paths[node])] != path for path in paths)}
    row = {node: place for place, node in enumerate(node for node in order if node in leaves)}
    depth = np.array([len(path) for path in paths], np.float64)
    height = np.array([np.mean([row[n] for n in leaves if paths[n][: len(path)] == path]) for path in paths])
    places = np.stack([depth, height], axis=1)
    slack = np.array([0.0, height.mean()])
    ends = np.broadcast_to(slack, (len(carries), 2, 2)).copy()
    for element in np.flatnonzero(size):
        behind = carries[element]
        below = min(np.flatnonzero(behind), key=lambda node: len(paths[node]))
        path = paths[below]
        first = next(place for place, each in enumerate(path) if size[each] == size[element])
        above = [node for node, other in enumerate(paths) if other == path[:first]]
        ends[element] = [places[above[0]] if above else slack, places[below]]
    return places, ends


class Picture:
    """Draws the first row of a batch, a frame per slot."""

    def __init__(self, name: str, params: Params) -> None:
        self.name, self.params = name, params
        self._places, self._ends = layout(params.grid)
        self.begin()
        self._figure = Figure(figsize=INCHES, dpi=DOTS)
        self._canvas = FigureCanvasAgg(self._figure)

    def begin(self) -> None:
        """Forget the last day."""
        self._course = Course()
        self._loading = np.zeros(len(self._ends))
        self._voltage = np.ones(1)
        self._empty = np.zeros(len(self.params.node), np.bool_)  # houses that are not there today

    def take(self, simulator: Simulator, decision: Decision, outcome: Outcome) -> None:
        """Take in a slot that has just ended."""
        hours, course = self.params.slot_hours, self._course
        course.net_kw.append(float(outcome.net_kwh[0]) / hours)
        course.nomination_kw.append(float(outcome.net_kwh[0] - outcome.imbalance_kwh[0]) / hours)
        course.devices_kw.append(float(outcome.energy_kwh[0].sum()) / hours)
        course.spot.append(float(simulator.episode.actual.spot[0, simulator.state.slot - 1]))
        course.balance.append(float(from_micro_eur(decision.balance_price)[0]))
        self._loading = 100.0 * outcome.flow.loading[0].to("cpu", torch.float64).numpy()
        self._voltage = outcome.flow.voltage[0].to("cpu", torch.float64).numpy()
        if (who := simulator.episode.actual.population) is not None:
            self._empty = ~who.houses[0].cpu().numpy()

    def frame(self) -> Image:
        """Return the picture [height, width, 3] uint8 of the day so far."""
        self._figure.clear()
        sides = self._figure.add_gridspec(
            1, 2, width_ratios=[1.1, 1.0], left=0.02, right=0.96, bottom=0.1, top=0.92, wspace=0.14
        )
        right = sides[1].subgridspec(2, 1, hspace=0.3)
        self._draw_grid(self._figure.add_subplot(sides[0]))
        self._draw_power(self._figure.add_subplot(right[0]))
        self._draw_prices(self._figure.add_subplot(right[1]))
        self._canvas.draw()  # type: ignore[no-untyped-call]
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]

    def _draw_grid(self, axes: Axes) -> None:
        """The tree of the grid, each element in the colour of its loading, with houses that are empty left white."""
        lines = LineCollection(list(self._ends), cmap=COLOURS, norm=Normalize(0.0, FULL_PCT), linewidths=3.5)
        lines.set_array(self._loading)
        axes.add_collection(lines)
        across, up = self._places.T
        houses = self.params.node.cpu().numpy()
        axes.scatter(0.0, up.mean(), s=60, color=NET, marker=">", zorder=3, label="external grid")
        axes.scatter(across, up, s=8, color=NET, zorder=3)
        for nodes, filling, label in ((houses[~self._empty], NET, "house"), (houses[self._empty], "white", "empty")):
            if len(nodes):
                x, y = self._places[nodes].T
                axes.scatter(x, y, s=22, marker="s", c=filling, edgecolors=NET, zorder=4, label=label)
        axes.margins(0.06)
        axes.set_axis_off()
        busiest = "{} {}".format(*self.params.grid.elements[int(self._loading.argmax())])
        axes.set_title(
            f"{self.name}, {_clock(self._hours()[-1])}\nhighest loading {self._loading.max():.0f} % ({busiest}), "
            f"voltage {self._voltage.min():.3f} to {self._voltage.max():.3f} p.u.",
            fontsize=10,
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, -0.04), fontsize=8, frameon=False, ncols=3)
        bar = self._figure.colorbar(
            lines, ax=axes, orientation="horizontal", label="loading, % of the rating", shrink=0.7, pad=0.06
        )
        bar.ax.axvline(100.0, color=NET, linewidth=1.5)

    def _draw_power(self, axes: Axes) -> None:
        """Net consumption, what was bought of it, and what devices took."""
        course, hours = self._course, self._hours()
        axes.stairs(course.devices_kw, hours, baseline=None, color=DEVICES, label="devices")
        axes.stairs(course.net_kw, hours, baseline=None, color=NET, label="houses less wind")
        axes.stairs(
            course.nomination_kw,
            hours,
            baseline=None,
            color=BOUGHT,
            linestyle=":",
            linewidth=1.6,
            label="bought day-ahead",
        )
        self._finish(axes, "power, kW")

    def _draw_prices(self, axes: Axes) -> None:
        """Spot and balance price."""
        hours = self._hours()
        axes.stairs(self._course.spot, hours, baseline=None, color=SPOT, label="spot")
        axes.stairs(self._course.balance, hours, baseline=None, color=BOUGHT, label="balance")
        self._finish(axes, "price, EUR/kWh")
        axes.set_xlabel("local hour")

    def _finish(self, axes: Axes, label: str) -> None:
        """The same clock under all panels."""
        start = self.params.config.scenario.start_hour
        end = start + self.params.config.slots * self.params.slot_hours
        axes.set_xlim(start, end)
        ticks = np.linspace(start, end, 5)
        axes.set_xticks(ticks, [_clock(tick) for tick in ticks])
        axes.set_ylabel(label)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8, frameon=False, ncols=3)
        axes.grid(alpha=0.25)

    def _hours(self) -> Array:
        """The local hours between which the slots so far lie."""
        slots = np.arange(len(self._course.spot) + 1, dtype=np.float64)
        return self.params.config.scenario.start_hour + self.params.slot_hours * slots


def _clock(hour: float) -> str:
    """An hour as the clock shows it."""
    minutes = round(hour * 60.0)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
