"""`python -m hardware_bridge demo`: a day under the bridge equals the day in the simulator, or the exit status is 1."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from baselines import catalog
from hardware_bridge.compare import largest
from hardware_bridge.config import BridgeConfig
from hardware_bridge.demo import Report, compare
from policies import checkpoint
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.errors import ConfigError, exit_on_error
from totalflex_env.types import Policy

SCRIPTED = "scripted"
SHOWN_NOTES = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration: 0 if bridge and simulator agree, 1 if not, 2 for a wrong argument or a silent device."""
    parser = _parser()
    known, overrides = parser.parse_known_args(arguments)
    return exit_on_error(partial(_demo, known.config, overrides))


def _parser() -> argparse.ArgumentParser:
    fields = "\n".join(f"  --{name:10} {field.description or ''}" for name, field in BridgeConfig.model_fields.items())
    parser = argparse.ArgumentParser(
        prog="python -m hardware_bridge",
        description="Run one accelerated day of a fake house over MQTT and compare it with the simulator.",
        epilog=f"any field of the configuration, also nested ones (--link.timeout_s=5):\n{fields}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=["demo"])
    parser.add_argument("--config", default="demo", help="registered name or path of a bridge configuration")
    return parser


def _demo(name: str, overrides: Sequence[str]) -> int:
    begun = time.perf_counter()
    config = config_files.load(BridgeConfig, name, "bridge", overrides)
    make_policy = policy_maker(config.policy)
    world = build(config_files.load(EnvConfig, config.env, "env"))
    report = compare(config, world, make_policy)
    print_report(config, report, time.perf_counter() - begun)
    return 0 if report.agrees else 1


def policy_maker(name: str) -> Callable[[], Policy]:
    """Return what makes the policy of a name or a folder, each time a new one; an unknown name is a ConfigError."""
    if name == SCRIPTED:
        return ScriptedPolicy
    if "/" in name or Path(name).is_dir():
        return lambda: checkpoint.load(Path(name))[0]
    if name not in catalog.POLICIES:
        allowed = f"{SCRIPTED}, {', '.join(catalog.POLICIES)}, or the folder of a trained policy"
        raise ConfigError("bridge", "policy", name, allowed)
    return partial(catalog.make, name)


def print_report(config: BridgeConfig, report: Report, seconds: float) -> None:
    """Print the comparison as a small table."""
    run = report.run
    print(f"{config.env}, seed {config.seed}, policy {config.policy}: {run.outcomes.net_kwh.shape[1]} slots")
    print(f"{run.messages} messages of the bridge, {run.resent} questions asked again, {run.refused} messages refused")
    for note in run.notes[:SHOWN_NOTES]:
        print(f"note: slot {note.slot}, {note.device}: {note.reason.value}" + f" ({note.detail})" * bool(note.detail))
    if len(run.notes) > SHOWN_NOTES:
        print(f"note: {len(run.notes) - SHOWN_NOTES} more like these")
    print(f"\n{'outcome':24}largest difference to the simulator")
    for part in dict.fromkeys(name.partition(".")[0] for name in report.differences):
        fields = {name: each for name, each in report.differences.items() if name.partition(".")[0] == part}
        print(f"{part:24}{largest(fields):.3g}")
    verdict = "agree" if report.agrees else "DISAGREE"
    print(f"\nbridge and simulator {verdict}: largest difference {report.largest:.3g}, allowed {config.tolerance:g}")
    print(f"bridge {report.bridge_seconds:.1f} s, simulator {report.simulator_seconds:.1f} s, in all {seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
