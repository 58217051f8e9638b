"""Compare policies: python evaluate.py CONFIG [--seeds A:B] [--out DIR] [--field=value ...], e.g. --split=validation.

CONFIG is the path of a YAML file or a name registered under configs/evaluate. Every policy is tried on the days of the
seeds A, A + 1, ... B - 1; DIR then holds metrics.json, report.html and config.yaml, one folder for each of several
environments. With --resume, days that an interrupted run has finished are not tried again. With --render day.gif the
first day is drawn too, a picture for each slot of what the first learned policy does, or else the first one.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from baselines import catalog, foresight, rolling
from baselines.account import Account, account
from baselines.solver import SolverName
from policies import checkpoint
from policies.config import EvaluateConfig, environment
from policies.ledger import Ledger
from policies.run_folder import read_curve, write
from policies.workers import workers
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.envs import film
from totalflex_env.errors import exit_on_error
from totalflex_env.evaluation import mechanism_figures, mechanism_report, mechanisms, metrics, report
from totalflex_env.evaluation.figures import Clock
from totalflex_env.evaluation.mechanisms import MechanismsConfig
from totalflex_env.evaluation.protocol import measure, power_kw, try_policy
from totalflex_env.evaluation.results import CAUSES, Array, Program, Results, concatenate
from totalflex_env.types import Params, Policy
from totalflex_env.units import SLOT_HOURS

FORESIGHT = "foresight_milp"


@dataclass(frozen=True)
class Task:
    """One policy on some of the days."""

    env: EnvConfig
    name: str  # in tables
    policy: str  # name of a baseline, or path of a policy folder
    seeds: tuple[int, ...]
    solver: SolverName


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--seeds", metavar="A:B", help="days to compare on, A included, B not")
    parser.add_argument("--out", metavar="DIR", help="folder of the results, instead of the configuration's")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--render", metavar="GIF", type=Path, help="file for a film of the first day")
    options, overrides = parser.parse_known_args(arguments)
    overrides += [f"--{name}={value}" for name, value in (("seeds", options.seeds), ("out", options.out)) if value]
    return exit_on_error(
        lambda: render(options.config, overrides, options.render) or evaluate(options.config, overrides, options.resume)
    )


def render(name_or_path: str, overrides: Sequence[str], path: Path | None) -> int:
    """Draw the first day in the first environment into the GIF file `path`, where one is wanted."""
    if path is not None:
        config = config_files.load(EvaluateConfig, name_or_path, "evaluate", overrides)
        shown = [policy for policy in config.policies if policy != FORESIGHT]
        learned = [policy for policy in shown if is_folder(policy)]
        policy = make((learned or shown)[0])
        film.film(world(environment(config.envs[0], config.split)), policy, config.days[0], path)
        print(f"film: {path}")
    return 0


def evaluate(name_or_path: str, overrides: Sequence[str], resume: bool = False) -> int:
    """Compare the policies that the configuration names in each of its environments, or markets in a study of them."""
    if config_files.value(name_or_path, "evaluate", "study") == "mechanisms":
        return evaluate_mechanisms(name_or_path, overrides)
    config = config_files.load(EvaluateConfig, name_or_path, "evaluate", overrides)
    envs = [environment(env, config.split) for env in config.envs]
    for env in envs:
        here = config if len(envs) == 1 else config.model_copy(update={"out": config.out / env.name})
        compare(here, env, Ledger(here.out / "days.partial", resume))
    return 0


def compare(config: EvaluateConfig, env: EnvConfig, ledger: Ledger) -> None:
    """Compare the policies in one environment, write the results and print the table."""
    names = {policy_name(policy): policy for policy in config.policies}
    for policy in set(config.policies) - {FORESIGHT}:
        make(policy)  # whatever is wrong with one is said before minutes are spent on another
    ledger.begin()
    results = bounded(try_all(config, env, names, ledger))
    setting = metrics.Setting(env.name, scenario_hash(env))
    references = metrics.References(config.default, config.foresight, config.rolling)
    measured = metrics.metrics(setting, references, results)
    learned = tuple(name for name, policy in names.items() if is_folder(policy))
    page = report.html(
        report.Comparison(
            title=config.title,
            measured=measured,
            references=references,
            results=results,
            learned=learned,
            clock=Clock(env.scenario.start_hour, SLOT_HOURS),
            curve=read_curve(Path(names[learned[0]]).parent / "training") if learned else [],
        )
    )
    config.out.mkdir(parents=True, exist_ok=True)
    write(config.out / "config.yaml", config_files.dump(config))
    write(config.out / "report.html", page)
    write(config.out / "metrics.json", json.dumps(measured, indent=2, allow_nan=False) + "\n")
    ledger.close()
    print(f"{env.name}, {len(config.days)} days\n{metrics.table(measured)}")
    print(f"report: {config.out / 'report.html'}")


def evaluate_mechanisms(name_or_path: str, overrides: Sequence[str]) -> int:
    """Compare markets on identical days, write the results and print the table."""
    config = config_files.load(MechanismsConfig, name_or_path, "evaluate", overrides)
    clock = Clock(mechanisms.environment(config.env, config.split).scenario.start_hour, SLOT_HOURS)
    study = mechanisms.study(config, catalog.make("price_greedy"), lambda part: print(f"{part} ...", flush=True))
    config.out.mkdir(parents=True, exist_ok=True)
    write(config.out / "config.yaml", config_files.dump(config))
    write(config.out / "report.html", mechanism_report.html(study, clock))
    for name, picture in mechanism_figures.pictures(study.regimes, clock).items():
        write(config.out / name, picture)
    write(config.out / "metrics.json", mechanism_report.metrics(study))
    print(mechanism_report.table(study))
    print(f"report: {config.out / 'report.html'}")
    return 0


def is_folder(policy: str) -> bool:
    """Whether an entry of `policies` is the path of a policy folder and not the name of a baseline."""
    return len(Path(policy).parts) > 1


def policy_name(policy: str) -> str:
    """Return the name in tables: of runs/NAME/policy it is NAME."""
    path = Path(policy)
    return path.parent.name if path.name == "policy" and is_folder(policy) else path.name


def make(policy: str, solver: SolverName = "highs") -> Policy:
    """Return the policy of that folder, or the baseline of that name; `solver` is that of those that optimise."""
    if is_folder(policy):
        return checkpoint.load(Path(policy))[0]
    return catalog.make(policy, solver=solver)


def scenario_hash(env: EnvConfig) -> str:
    """Return a hash of all that decides what a day is and how the references plan it."""
    efforts = (foresight.EFFORT, rolling.EFFORT, rolling.PLAN_EVERY)
    return hashlib.sha256(f"{config_files.digest(env)} {efforts}".encode()).hexdigest()


def try_all(config: EvaluateConfig, env: EnvConfig, names: dict[str, str], ledger: Ledger) -> dict[str, Results]:
    """Return what every policy did; those that plan come first and day by day, since they take longest.

    What is finished is kept in the ledger, so that a run that is interrupted can go on.
    """
    slow = [name for name in names if names[name] in {FORESIGHT, *catalog.PLANNERS}]
    tasks = [Task(env, name, names[name], (seed,), config.solver) for name in slow for seed in config.days]
    tasks += [Task(env, name, names[name], tuple(config.days), config.solver) for name in names if name not in slow]
    parts: dict[str, list[Results]] = {name: [] for name in names}
    with workers(config.processes) as spread, tqdm(total=len(names) * len(config.days), unit="day") as bar:
        known = {task: found for task in tasks if (found := ledger.find(repr(task), task.seeds)) is not None}
        new = [task for task in tasks if task not in known]
        for task, found in known.items():
            bar.update(len(task.seeds))
            parts[task.name].append(found)
        for task, result in zip(new, spread(run, new)):
            ledger.keep(repr(task), result)
            bar.set_description(f"evaluated {task.name}")
            bar.update(len(task.seeds))
            parts[task.name].append(result)
    return {name: concatenate(part) for name, part in parts.items()}


def run(task: Task) -> Results:
    """Run one task in this process."""
    here = world(task.env)
    if task.policy == FORESIGHT:
        return foresee(here, task.seeds, task.solver)
    policy = make(task.policy, task.solver)
    results = try_policy(here, task.seeds, policy)
    if not isinstance(policy, rolling.RollingMilp) or policy.day_ahead is None:
        return results
    return replace(results, program=first_plans(here.params, policy.nominated, policy.day_ahead))


def foresee(world: World, seeds: Sequence[int], solver: SolverName) -> Results:
    """Return what perfect foresight does: its plans, replayed in the engine."""
    episode = draw(world, seeds)
    found = catalog.foresight(world.params, episode, solver)
    proved = found.planned_cost_eur.numpy(), found.bound_eur.numpy(), found.mip_gap.numpy()
    program = as_program(world.params, proved, account(world.params, episode.actual, found.energy_kwh))
    seconds = found.seconds.numpy() / episode.actual.spot.shape[1]
    return replace(measure(world.params, seeds, episode.actual, found.trace), decision_seconds=seconds, program=program)


def first_plans(params: Params, solves: Sequence[rolling.Solve], day_ahead: Account) -> Program:
    """Return what the rolling optimiser says of the plans that it nominated, one a day."""
    cost, gap = np.array([solve.cost_eur for solve in solves]), np.array([solve.gap_eur for solve in solves])
    return as_program(params, (cost, cost - gap, gap / np.maximum(1.0, np.abs(cost))), day_ahead)


def as_program(params: Params, proved: tuple[Array, Array, Array], plan: Account) -> Program:
    """Return planned cost, bound and gap that a solver proved, beside what the plans come to."""
    power = power_kw(params, plan.scenario, plan.energy_kwh)
    causes = np.stack([vars(plan.costs)[cause].numpy() for cause in CAUSES], axis=1)
    net_kw = (plan.net_kwh / params.slot_hours).numpy()
    return Program(*proved, causes, power.numpy(), net_kw, plan.loading.numpy())


def bounded(results: dict[str, Results]) -> dict[str, Results]:
    """Return the results with the bound that holds for the days as they came also beside plans made on forecasts."""
    known = results[FORESIGHT].program if FORESIGHT in results else None
    if known is None:
        return results
    return {
        name: replace(result, program=replace(result.program, bound_eur=known.bound_eur)) if result.program else result
        for name, result in results.items()
    }


@functools.cache
def world(env: EnvConfig) -> World:
    """Return the world of an environment, built once per process."""
    return build(env)


if __name__ == "__main__":
    sys.exit(main())
