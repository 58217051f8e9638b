"""Measure the project's headline figures: `python -m benchmarks NAME [--json FILE] [--full]`.

Prints a table and, if asked, writes the same numbers to a file. Exits with 1 when a figure misses its target. The quick
form ends within a minute on two quiet cores; `--full` takes what it needs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from totalflex_env.errors import ConfigError, MissingExtraError, exit_on_error
from totalflex_env.evaluation.provenance import revision, versions

NAMES = ("flexoffer", "power_flow", "forecast", "clearing", "baselines", "environment")
RIVALS = ("power-grid-model", "lightsim2grid")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status: 1 when a target is missed, 2 when it could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write the figures")
    parser.add_argument("--full", action="store_true", help="measure every case, however long it takes")
    options = parser.parse_args(arguments)
    names = NAMES if options.name == "all" else (options.name,)
    return exit_on_error(lambda: run(names, options.json, options.full))


def run(names: Sequence[str], file: Path | None, full: bool) -> int:
    """Measure and print the named benchmarks, write them to `file`, and return 1 when a target is missed, else 0."""
    if file is not None and not file.parent.is_dir():
        raise ConfigError("command line", "--json", str(file), "a file in a folder that exists")
    print(f"{machine()}, revision {revision()}")
    print(_row("figure", "ours", "target", "rival", "ratio", ""))
    measured = []
    for figure in _measure(names, full):
        measured.append(figure)
        print(_line(figure), flush=True)
    if file is not None:
        _write(file, json.dumps(report(measured), indent=2, allow_nan=False) + "\n")
    return 0 if all(figure.reached for figure in measured) else 1


def report(measured: Sequence[Figure]) -> dict[str, Any]:
    """Return what the file holds: the machine, the versions and the figures."""
    figures = [vars(figure) | {"ratio": figure.ratio, "reached": figure.reached} for figure in measured]
    return {"machine": machine(), "versions": versions() | _rivals(), "revision": revision(), "figures": figures}


def machine() -> str:
    """Return the processor and the system in one line."""
    model = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {platform.system()} {platform.release()}"


def _measure(names: Sequence[str], full: bool) -> Iterator[Figure]:
    """Import each benchmark when its turn comes, since it brings the libraries of its rivals."""
    for name in names:
        try:
            module = importlib.import_module(f"benchmarks.{name}")
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or name, "bench") from error
        yield from module.figures(full)


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)


def _rivals() -> dict[str, str]:
    installed = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    return {name: metadata.version(name) for name in RIVALS if name in installed}


def _line(figure: Figure) -> str:
    rival = "" if figure.rival is None else f"{figure.rival:.4g} ({figure.rival_name})"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}x"
    sign = ">=" if figure.better == "higher" else "<="
    verdict = "reached" if figure.reached else "MISSED"
    return _row(
        figure.what, f"{figure.ours:.4g} {figure.unit}", f"{sign} {figure.target:g}", rival, ratio, verdict
    ).rstrip()


def _row(what: str, ours: str, target: str, rival: str, ratio: str, verdict: str) -> str:
    return f"{what:<44} {ours:>18} {target:>12} {ratio:>8} {verdict:<8} {rival}"


if __name__ == "__main__":
    sys.exit(main())
