"""What every number that agents see and output means, as the tables of docs/environments.md.

`python -m totalflex_env.envs.tables docs/environments.md` writes them between the page's marks.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from totalflex_env.engine.roles import ROLES, RULE, Role
from totalflex_env.envs import rewards
from totalflex_env.envs.spaces import CONTROLS, FEATURES, OBSERVATION_LIMIT, action_space, observation_space
from totalflex_env.errors import DataError, exit_on_error

PRICE, RATING, SHARE = "0.1 EUR/kWh", "kWh per kWh that the grid carries in a slot", "share"

MEANINGS: dict[str, tuple[str, str]] = {
    "hour_sine": ("1", "sine of the local hour as an angle of the day"),
    "hour_cosine": ("1", "cosine of it"),
    "progress": (SHARE, "of the episode that has passed"),
    "spot": (PRICE, "spot price of this slot"),
    "spot_step_1h": (PRICE, "spot price in 1 h less that of this slot"),
    "spot_step_2h": (PRICE, "the same in 2 h"),
    "spot_step_4h": (PRICE, "the same in 4 h"),
    "spot_step_8h": (PRICE, "the same in 8 h"),
    "spot_mean_left": (PRICE, "mean spot price of the slots left less that of this slot"),
    "cheapness_8h": (SHARE, "of the coming 8 h that cost more than this slot"),
    "cheapness_2h": (SHARE, "of the coming 2 h that cost more than this slot"),
    "up_spread": (PRICE, "expected price of energy short of the nomination, less spot"),
    "down_spread": (PRICE, "spot less the expected price of energy beyond the nomination"),
    "expected_imbalance": (RATING, "expected net consumption by default schedules less the nomination"),
    "last_imbalance": (RATING, "imbalance of the slot before"),
    "last_price_difference": (PRICE, "balance price of the slot before less this spot price"),
    "nomination": (RATING, "bought day-ahead for this slot"),
    "deviation": (RATING, "base load less what was expected of it day-ahead"),
    "vehicles_present": (SHARE, "of the aggregator's vehicles that are plugged in"),
    "vehicles_need": ("10 kWh per vehicle", "charge still missing"),
    "vehicles_urgent_1h": (SHARE, "of the vehicles that must charge within 1 h of slack"),
    "vehicles_urgent_3h": (SHARE, "the same within 3 h"),
    "vehicle_price": (PRICE, "what a vehicle alone would have to pay later, less spot; mean by need"),
    "fleet_price": (PRICE, "what all vehicles together would have to pay later in the headroom, less spot"),
    "heat_level_mean": (SHARE, "of the comfort band that is filled, mean of the heat stores"),
    "heat_level_min": (SHARE, "the same of the emptiest store"),
    "heat_holding": (RATING, "energy that heat and other devices without a choice are expected to need"),
    "battery_level": (SHARE, "of the batteries' capacity that is filled"),
    "headroom": (RATING, "what the grid can carry beyond expected load and heat"),
    "headroom_min_2h": (RATING, "the least of it in 2 h"),
    "headroom_min_8h": (RATING, "the least of it in 8 h"),
    "base_load": (RATING, "expected inflexible consumption of all houses"),
    "wind": (RATING, "expected wind production"),
    "default_loading": (RATING, "expected consumption by default schedules"),
    "most_loading": (RATING, "the same with all devices at their upper limit"),
    "pv": ("kWh", "expected solar production of the house"),
    "vehicle_need": ("10 kWh", "charge still missing to the house's vehicles"),
    "vehicle_present": ("1", "number of the house's vehicles that are plugged in"),
    "heat_level": (SHARE, "of the comfort band that is filled in the house"),
    "range_lower": ("kWh", "least that the house's devices can take in this slot"),
    "range_upper": ("kWh", "most that they can take"),
}
OF_HOUSES = {"base_load": ("kWh", "expected inflexible consumption of the house")}
TERMS: dict[str, str] = {
    "money": "what the role's account gains in the ledger",
    "comfort": "minus discomfort and missing stored energy at their true prices",
    "overload": "minus loading above ratings at V",
    "voltage": "minus voltage outside the band at V_u",
    "energy": "minus net consumption at the spot price",
    "imbalance": "minus what imbalance costs beyond the spot price",
}


def table() -> str:
    """Return the tables of observations, actions and reward terms of every role, as Markdown."""
    return "\n\n".join([*(_observations(role) + "\n\n" + _actions(role) for role in ROLES), _rewards()])


def _observations(role: Role) -> str:
    """What one agent of the role sees."""
    meanings = MEANINGS | (OF_HOUSES if role == "prosumer" else {})
    shape, limit = observation_space(role).shape, OBSERVATION_LIMIT
    title = f"**{role}** sees {shape}, float32, each number in {-limit:g}..{limit:g}:\n\n"
    rows = [f"| {place} | `{name}` | {' | '.join(meanings[name])} |" for place, name in enumerate(FEATURES[role])]
    return title + "| | name | unit | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _actions(role: Role) -> str:
    """What one agent of the role outputs."""
    shape = action_space(role).shape
    title = f"**{role}** outputs {shape}, float32, each number in -1..1, the rule at {RULE[role]:g}:\n\n"
    rows = [
        f"| {place} | `{each.name}` | {each.unit} | {each.least:.3g} ... {each.most:.3g}"
        f"{' in equal factors' if each.geometric else ''} | {each.meaning} |"
        for place, each in enumerate(CONTROLS[role])
    ]
    head = "| | name | unit | from -1 to 1 | meaning |\n|---|---|---|---|---|\n"
    return title + head + "\n".join(rows)


def _rewards() -> str:
    """What rewards are made of."""
    owners = {role: rewards.ROLE_TERMS[role] for role in ROLES} | {"the system": rewards.SYSTEM_TERMS}
    head = "**Rewards** are sums of terms in EUR, each times its weight in `reward:` (default 1):\n\n"
    rows = [
        f"| `{name}` | {', '.join(owner for owner, names in owners.items() if name in names)} | {text} |"
        for name, text in TERMS.items()
    ]
    return head + "| term | of | meaning |\n|---|---|---|\n" + "\n".join(rows)


MARKS = ("<!-- tables: written by python -m totalflex_env.envs.tables -->", "<!-- end of tables -->")


def written(page: str) -> str:
    """Return a page with the tables between its marks; a page without marks is a DataError."""
    begin, end = map(re.escape, MARKS)
    found, count = re.subn(f"{begin}.*{end}", lambda _: f"{MARKS[0]}\n{table()}\n{MARKS[1]}", page, flags=re.DOTALL)
    if count != 1:
        raise DataError("page", "marks", count, f"one place between {MARKS[0]} and {MARKS[1]}")
    return found


def main() -> int:
    """Write the tables into the page that the command line names."""
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_error(main))
