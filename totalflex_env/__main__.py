"""The `totalflex` command: which environments are registered, and what a day of one looks like."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import totalflex_env
from totalflex_env import config_files, fleet
from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError, exit_on_error
from totalflex_env.evaluation.labels import counted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="totalflex", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"totalflex {totalflex_env.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("envs", help="list the registered environments")
    show = commands.add_parser(
        "show", help="print and draw a day of an environment, its devices left alone", allow_abbrev=False
    )
    show.add_argument("name", metavar="NAME", help="a registered name, or the path of a YAML file")
    show.add_argument("--out", metavar="FILE", help="where to draw: .png, .svg or .pdf")
    show.add_argument("--seed", default="0", metavar="N", help="which day is drawn (0)")
    show.add_argument("--fill", metavar="POLICY", help="what is done about missing values: --recorded.fill for short")
    options, rest = parser.parse_known_args(arguments)
    if options.command == "show":
        fill = [] if options.fill is None else [f"--recorded.fill={options.fill}"]
        return exit_on_error(lambda: _show(options.name, options.out, options.seed, [*fill, *rest]))
    parser.parse_args(arguments)  # says what is wrong with anything that is left
    return exit_on_error(_list_environments)


def _show(name: str, out: str | None, seed: str, overrides: Sequence[str]) -> int:
    """Print and draw a day; overrides are fields of the environment such as `--scenario.months=[6,7,8]`."""
    if not seed.isdecimal():
        raise ConfigError(config_files.COMMAND_LINE, "seed", seed, "a whole number, 0 or more")
    totalflex_env.show_day(name, out, int(seed), overrides)
    return 0


def _list_environments() -> int:
    names = config_files.names("env")
    width = max(map(len, names), default=0)
    for name in names:
        print(f"{name:<{width}}  {_summary(config_files.load(EnvConfig, name, 'env'))}")
    return 0


def _summary(config: EnvConfig) -> str:
    """Grid and devices of an environment on one line."""
    grid = config.grid.code if config.grid.source == "simbench" else "two houses"
    owned = ", ".join(counted(kind, each.count) for group in fleet.kinds(config.devices) for kind, each in group)
    return f"{grid}; {config.slots} slots of 15 minutes; {owned or 'no devices'}"


if __name__ == "__main__":
    sys.exit(main())
