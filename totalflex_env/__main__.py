"""The `totalflex` command: what is installed, and which environments are registered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import totalflex_env
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.errors import exit_on_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="totalflex", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"totalflex {totalflex_env.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("envs", help="list the registered environments")
    parser.parse_args(arguments)
    return exit_on_error(_list_environments)


def _list_environments() -> int:
    names = config_files.names("env")
    width = max(map(len, names), default=0)
    for name in names:
        print(f"{name:<{width}}  {_summary(config_files.load(EnvConfig, name, 'env'))}")
    return 0


def _summary(config: EnvConfig) -> str:
    """Grid and devices of an environment on one line."""
    devices = config.devices
    counts = {
        "vehicles": devices.ev.count,
        "batteries": devices.battery.count,
        "heat pumps": devices.heat_pump.count,
        "freezers": devices.freezer.count,
        "dishwashers": devices.dishwasher.count,
    }
    grid = config.grid.code if config.grid.source == "simbench" else "two houses"
    owned = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"{grid}; {config.slots} slots of 15 minutes; {owned or 'no devices'}"


if __name__ == "__main__":
    sys.exit(main())
