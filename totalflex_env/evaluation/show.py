"""`totalflex show`: a day of an environment, printed and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError, MissingExtraError
from totalflex_env.evaluation.labels import counted, plural
from totalflex_env.evaluation.results import Array

try:
    from totalflex_env.engine.build import World, build
    from totalflex_env.evaluation import day_figures
    from totalflex_env.evaluation.day import ShownDay, live
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train" if error.name == "matplotlib" else "grid") from error

FORMATS = (".png", ".svg", ".pdf")


def show_day(name_or_path: str, out: str | None, seed: int = 0, overrides: Sequence[str] = ()) -> None:
    """Print the day that `seed` draws in an environment, by default schedules, and draw it into the file `out`.

    The environment is a registered name or the path of a YAML file. A wrong name, path or format is a ConfigError.
    """
    config = config_files.load(EnvConfig, name_or_path, "env", overrides)
    if out is not None and Path(out).suffix not in FORMATS:
        raise ConfigError(config_files.COMMAND_LINE, "out", out, f"a file name that ends in {', '.join(FORMATS)}")
    world = build(config)
    day = live(world, seed)
    print(text(world, day))
    if out is not None:
        _write(day, Path(out))


def text(world: World, day: ShownDay) -> str:
    """Return what is printed of a day."""
    low, high = 1e3 * day.spot.min(), 1e3 * day.spot.max()
    worst = day.worst_element()
    peak = day.loading[:, worst].argmax()
    costs = ", ".join(f"{cause} {eur:.2f}" for cause, eur in day.costs_eur.items() if abs(eur) >= 0.005)
    return "\n".join(
        [
            f"{day.name}: {counted('house', len(world.params.node))} with {counted('device', len(day.kinds))}, "
            f"{day.slots} quarter-hours from {day.start_hour:02d}:00, seed {day.seed}",
            f"outdoors {day.temperature.min():.1f} to {day.temperature.max():.1f} °C, day-ahead price {low:.0f} to "
            f"{high:.0f} EUR/MWh",
            "",
            *_table(day),
            "",
            f"grid: {day.elements[worst]} loaded up to {day.loading[peak, worst]:.0%} at {_clock(day, int(peak))}, "
            f"{day.overload_minutes():.0f} minutes of overload, voltage {day.voltage.min():.3f} to "
            f"{day.voltage.max():.3f} p.u.",
            f"system cost of the day: {sum(day.costs_eur.values()):.2f} EUR ({costs})",
        ]
    )


def _table(day: ShownDay) -> list[str]:
    """One line for the base load, each kind of device and the producers."""
    kinds = list(dict.fromkeys(day.kinds))
    lines = [("base load", "", day.base_kw)]
    lines += [
        (plural(kind), str(len(day.of_kind(kind))), day.device_kw[:, day.of_kind(kind)].sum(axis=1)) for kind in kinds
    ]
    lines += [
        ("plants with their batteries", "", 0.0 - day.pv_kw),
        ("sum of the houses", "", day.houses),
        ("wind park", "", 0.0 - day.wind_kw),
    ]
    return [
        f"{'left to their own controllers':<30}{'count':>6}{'kWh':>10}{'mean kW':>10}{'highest kW':>12}{'at':>7}",
        *[_line(day, name, count, power) for name, count, power in lines],
    ]


def _line(day: ShownDay, name: str, count: str, power: Array) -> str:
    peak = int(np.abs(power).argmax())
    energy = power.sum() * day.slot_hours
    return (
        f"  {name:<28}{count:>6}{energy:>10.1f}{power.mean():>10.1f}{power[peak]:>12.1f}"
        f"{_clock(day, peak) if power.any() else '':>7}"
    )


def _clock(day: ShownDay, slot: int) -> str:
    """The local time at which a slot begins."""
    minutes = round((day.start_hour + slot * day.slot_hours) * 60.0)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _write(day: ShownDay, path: Path) -> None:
    try:
        day_figures.save(day, path)
    except OSError as error:
        expected = f"a file that can be written ({error})"
        raise ConfigError(config_files.COMMAND_LINE, "out", str(path), expected) from error
    print(f"drawn into {path}")
