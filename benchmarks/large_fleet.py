"""A street as large as one likes: every house a district of as many houses, behind a grid that is as much stronger."""

from __future__ import annotations

from dataclasses import replace

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.engine.build import build, draw
from totalflex_env.grid.network import strengthened
from totalflex_env.types import Episode, Params, Scenario


def large(devices: int, seed: int = 700) -> tuple[Params, Episode]:
    """Return a world of at least so many devices in the proportions of `street`, and one of its days."""
    street = load(EnvConfig, "street", "env")
    counts = {
        name: settings.count
        for name, settings in street.devices
        if isinstance(settings, DeviceSettings) and settings.count
    }
    factor = -(-devices // sum(counts.values()))
    more = [f"--devices.{name}.count={count * factor}" for name, count in counts.items()]
    limited = build(street).params
    world = build(load(EnvConfig, "street", "env", more))
    params = replace(
        world.params,
        grid=strengthened(limited.grid, factor),
        limited=limited.limited,
        members=limited.members,
    )
    episode = draw(world, [seed])
    return params, replace(
        episode, actual=_district(episode.actual, factor), expected=_district(episode.expected, factor)
    )


def _district(day: Scenario, houses: int) -> Scenario:
    """Return a day with the load and the roofs of so many houses for each; wind grows with the devices anyway."""
    return replace(day, base_kwh=day.base_kwh * houses, base_kvarh=day.base_kvarh * houses, pv_kwh=day.pv_kwh * houses)
