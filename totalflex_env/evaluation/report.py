"""The report of a comparison: one HTML file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from totalflex_env.evaluation import figures, metrics, planned_figures
from totalflex_env.evaluation.figures import Clock, CurvePoint
from totalflex_env.evaluation.metrics import Metrics, References
from totalflex_env.evaluation.results import Program, Results

CSS = """
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1f2933; background: #f5f7fa; }
body { margin: 0; }
main { max-width: 1060px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.8rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 0 0 .8rem; }
section { background: #fff; border: 1px solid #e4e8ed; border-radius: 10px; padding: 1.4rem 1.6rem; margin: 1.4rem 0; }
p.note { color: #52606d; margin: .8rem 0 0; font-size: .92rem; } header p { color: #52606d; margin: .2rem 0; }
svg { width: 100%; height: auto; display: block; } .scroll { overflow-x: auto; }
.scroll + .scroll, svg + .scroll { margin-top: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .45rem .6rem; border-bottom: 1px solid #e4e8ed; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: #52606d; font-weight: 600; }
tr.learned td { background: #fdf3e7; font-weight: 600; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
footer { color: #6b7785; font-size: .82rem; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Comparison:
    """Everything that a report shows."""

    title: str
    measured: Metrics
    references: References
    results: Mapping[str, Results]
    learned: tuple[str, ...]  # the policies that were learned
    clock: Clock
    curve: Sequence[CurvePoint]  # empty where none was recorded


def html(comparison: Comparison) -> str:
    """Return the report as the text of one HTML page."""
    with figures.style():
        sections = [section(*part) for part in _sections(comparison)]
    return page(comparison.title, [_header(comparison), *sections, _footer(comparison)])


def page(title: str, parts: Sequence[str]) -> str:
    """Return the parts of a report, each HTML, as one page."""
    body, title = "\n".join(parts), escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body><main>\n{body}\n</main></body>\n</html>\n"
    )


def _sections(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return heading, content and the sentence below it, in the order of the page."""
    results, clock = comparison.results, comparison.clock
    default = results[comparison.references.default]
    day = int(np.argmax(default.loading.max(axis=1)))
    shown = (comparison.learned or tuple(results))[0]
    seed = f"the day of seed {default.seeds[day]}, on which the default schedules load the grid most"
    sections = [
        (
            "Comparison",
            f'<div class="scroll">{_table(comparison)}</div>',
            "Means per day over the same days for every policy. Cost is the system cost: energy at the day-ahead "
            "price, imbalance, overload and voltage at their prices, discomfort, and stored energy missing at the end.",
        ),
        (
            "Scores",
            figures.scores(comparison.measured),
            "Points are ratios of savings summed over all days; bars are 95 % intervals from resampling the days. "
            "0 is the default schedule; the dashed line at 1 is the reference.",
        ),
        (
            "Dispatch over a day",
            figures.dispatch(results, day, clock),
            f"What the houses took, by kind of device, on {seed}. Batteries that give energy back, and photovoltaics, "
            "point down.",
        ),
        (
            "Loading of the grid",
            figures.loading(results, _telling(comparison), day, clock),
            f"Loading of whichever transformer or line is loaded most, on {seed}. Devices that each follow the price "
            "alone all start in the same cheap hour; coordinated ones share what the grid can carry.",
        ),
        (
            "Prices and nomination",
            figures.prices(results[shown], shown, day, clock),
            f"Above: what energy cost on the same day. Below: what {escape(shown)} bought day-ahead and what was "
            "taken; the difference is paid at the imbalance prices.",
        ),
        (
            "Costs and money flows",
            figures.money(results),
            "Left: where the system cost comes from. Right: who received how much (negative is paid); over all roles "
            "it sums to minus the system cost.",
        ),
    ]
    for name, result in results.items():
        if result.program is not None:
            sections.append(_planned(name, result, result.program, day, clock))
    if comparison.curve:
        sections.append(
            (
                "Learning curve",
                figures.learning(comparison.curve),
                "Mean cost on the validation days, none of which is used for learning or in the comparison above; "
                "the best policy on these days is kept.",
            )
        )
    return sections


def _planned(name: str, result: Results, plan: Program, day: int, clock: Clock) -> tuple[str, str, str]:
    """Return heading, content and sentence of what an optimiser planned and what came of it."""
    figure = planned_figures.figure(result, plan, (name, day), clock)
    table = planned_figures.table(result, plan, clock.slot_hours)
    note = (
        f"Above, the day of seed {result.seeds[day]}; below and in the table, means over all days. What a plan comes "
        "to, the equations of the engine say, AC power flow included, if the day comes as the plan expects. "
    )
    return f"Planned and realised: {escape(name)}", f"{figure}\n{table}", note + planned_figures.why(result, plan)


def _telling(comparison: Comparison) -> list[str]:
    """Return the policies whose loading is drawn: default, learned, and the one that overloads the grid most."""
    results = comparison.results
    worst = max(results, key=lambda name: float(results[name].overload_minutes.sum()))
    return list(dict.fromkeys([comparison.references.default, worst, *comparison.learned]))


def _header(comparison: Comparison) -> str:
    measured = comparison.measured
    days = measured["days"]
    run = len(days) > 2 and list(days) == list(range(days[0], days[0] + len(days)))
    seeds = f"{days[0]} to {days[-1]}" if run else ", ".join(map(str, days))
    return (
        f"<header><h1>{escape(comparison.title)}</h1><p>Scenario <b>{escape(measured['scenario'])}</b>, "
        f"{len(days)} days that no policy was trained on (seeds {seeds}).</p></header>"
    )


def section(heading: str, content: str, note: str) -> str:
    """Return a section of a report: a heading, a figure or a table as HTML, and a sentence on how to read it."""
    return f'<section><h2>{heading}</h2>\n{content}\n<p class="note">{note}</p></section>'


def _table(comparison: Comparison) -> str:
    palette = figures.colours(list(comparison.results))
    head = "".join(f"<th>{name}<br>{unit}</th>" for name, unit in zip(metrics.COLUMNS, metrics.UNITS))
    lines = []
    for name, *cells in metrics.rows(comparison.measured):
        mark = ' class="learned"' if name in comparison.learned else ""
        dot = f'<span class="dot" style="background:{palette[name]}"></span>'
        lines.append(f"<tr{mark}><td>{dot}{escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _footer(comparison: Comparison) -> str:
    measured = comparison.measured
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    programs = "; ".join(
        f"{name}: planned {one['planned_cost_eur']:.2f}, bound {one['bound_eur']:.2f} EUR/day, gap {one['mip_gap']:.2%}"
        for name, one in measured["policies"].items()
        if "bound_eur" in one
    )
    return (
        f"<footer><p>Mixed-integer programs: {escape(programs) or 'none'}.</p>"
        f"<p>Revision {measured['revision']}. Scenario {measured['scenario_hash']}. {escape(versions)}.</p></footer>"
    )
