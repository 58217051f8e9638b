"""The study of mechanisms as one HTML file and as metrics.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from totalflex_env.evaluation import figures, mechanism_figures, provenance
from totalflex_env.evaluation.figures import Clock
from totalflex_env.evaluation.labels import plural
from totalflex_env.evaluation.mechanisms import Study
from totalflex_env.evaluation.regimes import DEFAULT, MARKET, PRICE_ONLY
from totalflex_env.evaluation.report import page, section
from totalflex_env.evaluation.results import CAUSES, ROLES
from totalflex_env.evaluation.statistics import Score
from totalflex_env.settings import days
from totalflex_env.units import SLOT_HOURS

Part = tuple[str, str, str]


def metrics(study: Study) -> str:
    """Return the content of metrics.json: every figure of the report, money in EUR, energy in kWh."""
    regimes = {
        name: {
            "cost_eur": float(one.results.cost_eur.mean()),
            "overload_minutes": float(one.results.overload_minutes.mean()),
            "highest_loading": float(one.results.loading.max()),
            "highest_transformer_loading": float(one.transformer.max()),
            "causes_eur": dict(zip(CAUSES, one.results.causes_eur.mean(axis=0).tolist())),
            "money_eur": dict(zip(ROLES, one.results.money_eur.mean(axis=0).tolist())),
            "flows_eur": one.flows_eur,
        }
        for name, one in study.regimes.items()
    }
    found: dict[str, Any] = {
        "revision": provenance.revision(),
        "versions": provenance.versions(),
        "env": study.config.env,
        "days": days(study.config.seeds),
        "regimes": regimes,
        "position_adjustments": [asdict(one) for one in study.parties],
        "price_rules": {name: asdict(rule) for name, rule in study.rules.items()},
        "misreports": [asdict(gain) for gain in study.hands],
        "inc_dec": asdict(study.inc_dec),
        "baseline_bias": {name: asdict(bias) for name, bias in study.biases.items()},
        "baseline_gaming": {name: asdict(game) for name, game in study.games.items()},
        "delivery_rules": {
            rule: {"mean_share": one.mean_share, "just_above_cliff": one.just_above}
            for rule, one in study.cliffs.items()
        },
        "incentives": [asdict(one) for one in study.incentives],
        "households": [asdict(one) for one in study.households],
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def html(study: Study, clock: Clock) -> str:
    """Return the report as the text of one HTML page."""
    config = study.config
    with figures.style():
        parts = [*_regimes(study, clock), _rules(study), *_gaming(study), *_households(study)]
    head = (
        f"<header><h1>{escape(config.title)}</h1><p>Scenario <b>{escape(config.env)}</b>, days of seeds "
        f"{config.seeds}; baselines and incentives on <b>{escape(config.gaming_env)}</b>. Every market lives the same "
        "days.</p></header>"
    )
    foot = f"<footer><p>Revision {provenance.revision()}. Slots of {60 * SLOT_HOURS:.0f} minutes.</p></footer>"
    return page(config.title, [head, *(section(*part) for part in parts), foot])


def table(study: Study) -> str:
    """Return the lines to print: what each market costs and how far it loads the grid."""
    lines = [f"{'market':<22}{'EUR/day':>10}{'overload':>16}{'highest loading':>18}"]
    for name, one in study.regimes.items():
        result = one.results
        minutes = f"{result.overload_minutes.mean():.0f} min/day"
        lines.append(f"{name:<22}{result.cost_eur.mean():>10.2f}{minutes:>16}{result.loading.max():>18.0%}")
    return "\n".join(lines)


def _regimes(study: Study, clock: Clock) -> list[Part]:
    results = {name: one.results for name, one in study.regimes.items()}
    worst = mechanism_figures.worst_day(study.regimes)
    seed = f"the day of seed {results[DEFAULT].seeds[worst]}"
    rows = [
        (
            name,
            f"{one.cost_eur.mean():.2f}",
            *(f"{cause:.2f}" for cause in one.causes_eur.mean(axis=0)),
            f"{one.overload_minutes.mean():.0f}",
            f"{study.regimes[name].transformer.max():.0%}",
        )
        for name, one in results.items()
    ]
    return [
        (
            "Price alone overloads the grid, the flexibility market does not",
            mechanism_figures.loading(study.regimes, worst, clock),
            f"Loading of the transformer, and of whichever element is loaded most, on {seed}, the worst under prices "
            "alone. Devices that follow the price all start in the same cheap hour; a market that trades balance only "
            "does no better. In the flexibility market the grid has a price, and the same devices share it.",
        ),
        (
            "What the days cost",
            _table(("market", "EUR/day", *CAUSES, "over (min/day)", "transformer"), rows),
            "Means per day over the same days, and the highest loading of the transformer on any. The system cost is "
            "the sum of its causes, whoever bears them.",
        ),
        (
            "Who pays whom",
            mechanism_figures.flows(study.regimes, (PRICE_ONLY, MARKET)),
            "Mean EUR per day as booked in the ledger, whose residual is exactly 0. Without a flexibility market the "
            "overload is a cost that nobody is asked to pay. In the market houses are paid for moving away from dear "
            "slots, and whoever wants more where the grid is full pays its price: where the positions of all leave the "
            "transformer room, the grid operator earns that rent instead of buying relief.",
        ),
        (
            "What is left to each role",
            _table(
                ("market", *ROLES, "sum"),
                [
                    (name, *(f"{money:.2f}" for money in one.money_eur.mean(axis=0)), f"{-one.cost_eur.mean():.2f}")
                    for name, one in results.items()
                ],
            ),
            "Mean EUR per day that each role receives, less what it suffers itself: discomfort and missing stored "
            "energy at the houses, overloads and voltages at the grid operator. The sum is minus the system cost.",
        ),
        _parties(study),
        (
            "What energy is worth where",
            mechanism_figures.scarcity(study.regimes[MARKET], worst, clock),
            f"Prices of the flexibility market on {seed}: of balance, and what limits of the grid add at the houses.",
        ),
    ]


def _parties(study: Study) -> Part:
    rows = [
        (
            one.party,
            "adjusted" if one.corrected else "as bought",
            f"{one.imbalance_kwh:.1f}",
            f"{round(one.account_eur, 2) + 0.0:+.2f}",
        )
        for one in study.parties
    ]
    return (
        "Whose imbalance is an activation?",
        _table(("balance responsible", "positions", "imbalance (kWh/day)", "account (EUR/day)"), rows),
        "The flexibility market, had the houses two suppliers and a third party bought their flexibility. As bought, "
        "each activation is an imbalance of a supplier that had no part in it. With positions adjusted by what was "
        "activated the suppliers are left whole, and what remains is the buyer's own; the accounts sum to the same.",
    )


def _rules(study: Study) -> Part:
    rows = [
        (
            name.replace("_", " "),
            f"{one.welfare_eur:.2f}",
            f"{one.gap:.0e}",
            f"{one.owners_eur:.2f}",
            f"{one.balance_eur:.2f}",
            f"{one.grid_eur:.2f}",
            f"{one.uplift_eur:.2f}",
            str(one.residual_micro_eur),
            f"{one.mean_gain_eur:.3f}",
            f"{one.exploitability_eur:.3f}",
        )
        for name, one in study.rules.items()
    ]
    heads = (
        "price rule",
        "welfare",
        "gap",
        "owners",
        "balance",
        "grid",
        "uplift",
        "residual (µEUR)",
        "exploitability",
        "largest",
    )
    return (
        "The day-ahead auction under each price rule",
        _table(heads, rows),
        "The same books of whole flex-offers, cleared under each rule; EUR per book, received where positive. Welfare "
        "is what the clearing saves against the default schedules. Exploitability is what the best of four misreports "
        "earns an owner that tries it, all others telling the truth: nothing where prices are uniform, as an owner "
        "is too small to move them; under pay-as-bid it pays to ask for more than the true discomfort.",
    )


def _gaming(study: Study) -> list[Part]:
    games, biases = study.games, study.biases
    rows = [
        (
            name.replace("_", " "),
            *((f"{biases[name].mean_kwh:+.2f}", f"{biases[name].absolute_kwh:.2f}") if name in biases else ("0", "0")),
            f"{game.overpaid_eur:+.2f}",
            f"{game.tried_eur:.2f}",
            f"{game.gain_eur:.2f}",
            f"{game.largest_eur:.2f}",
        )
        for name, game in games.items()
    ]
    levers = [(name.replace("_", " "), *(f"{s:.0%}" for s in game.levers.values())) for name, game in games.items()]
    heads = ("baseline", "bias (kWh)", "distance (kWh)", "overpaid (EUR)", "by grid", "gain (EUR)", "largest")
    cliffs = [(r.replace("_", " "), f"{c.mean_share:.0%}", f"{c.just_above:.0%}") for r, c in study.cliffs.items()]
    dec = study.inc_dec
    return [
        (
            "Baselines: wrong by how much, and worth how much to an adversary",
            mechanism_figures.baselines(biases, games)
            + _table(heads, rows)
            + _table(("share of houses whose best strategy", *games["truth"].levers), levers),
            "The truth is the same seed lived without the call. Overpaid is what an honest house gets beyond what the "
            "truth would pay. The gain is that of the best strategy found in training after a grid of strategies, over "
            "the conduct that would be best if the baseline were the truth, which is trained alike: so the gain may be "
            "less than that by the grid. It is a lower bound of what there is to gain. The market's own base is the "
            "default twin, which is the truth in the first line.",
        ),
        (
            "Misreports in the intraday market",
            mechanism_figures.hands(study.hands),
            f"In the {study.config.scarce_slots} most loaded slots of each day: the best of "
            "35 markups and shares withheld, all others telling the truth. The surplus is what the energy that a house "
            "gets is worth to it beyond what it pays.",
        ),
        (
            "Inc-dec",
            _table(
                ("gain (EUR/day)", "phantom load (kWh/day)", "slots per day"),
                [(f"{dec.gain_eur:.2f}", f"{dec.phantom_kwh:.1f}", f"{dec.slots:.1f}")],
            ),
            "Per house with devices, were its own nomination its base: it nominates load that it does not mean to take "
            "where the nodal price exceeds spot, and is paid to remove it. With the default twin as base it cannot.",
        ),
        (
            "Delivery: who aims just above the cliff",
            mechanism_figures.cliffs(study.cliffs, study.config.price)
            + _table(("rule", "mean delivered", "just above the cliff"), cliffs),
            "Each point is an adversary whose marginal cost rises in proportion to what it delivers. Under the default "
            "rule it delivers less as its cost grows, without a jump; a cliff makes a whole range of costs deliver "
            "exactly as little as is still paid.",
        ),
    ]


def _households(study: Study) -> list[Part]:
    devices = [
        (plural(one.kind), one.comfort, str(one.devices), *_interval(one.income_eur), f"{one.moved_kwh:.0f}")
        for one in sorted(study.incentives, key=lambda one: one.kind)
    ]
    houses = [
        (one.comfort, *_interval(one.gain_eur), f"{one.bill_eur:.0f}", f"{one.discomfort_eur:.0f}")
        for one in study.households
    ]
    columns = ("device", "comfort setting", "devices", "income (EUR/year)", "95 %", "moved (kWh/year)")
    heads = ("comfort setting", "gain (EUR/year)", "95 %", "of which money", "less discomfort")
    return [
        (
            "What a household earns in a year",
            mechanism_figures.incentives(study.incentives) + _table(columns, devices) + _table(heads, houses),
            "Flexibility income by device from the ledger, and the gain of a mean house with devices over the same "
            "days without activation. Careful: heating within half a kelvin, vehicles ready three hours earlier; "
            "generous: within two kelvins, vehicles ready two hours later. A year is estimated from "
            f"{len(days(study.config.incentive_seeds))} days of all months, the same for every setting; intervals are "
            "95 % of a bootstrap over them.",
        )
    ]


def _interval(value: Score) -> tuple[str, str]:
    return f"{value.value:.0f}", f"{value.lower:.0f} to {value.upper:.0f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
