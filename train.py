"""Train a policy: python train.py CONFIG [--resume] [--out DIR] [--field=value ...], e.g. --ppo.learning_rate=1e-4.

CONFIG is the path of a YAML file or a name registered under configs/train. The run lies in DIR once it is finished and
in DIR.partial until then; --resume goes on with the latter. Ctrl-C ends the training and keeps the best policy so far.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from policies import checkpoint, evolution, sb3
from policies.checkpoint import Provenance
from policies.config import TrainConfig, environment
from policies.run_folder import RunFolder
from policies.session import Trained
from totalflex_env import config_files
from totalflex_env.errors import exit_on_error
from totalflex_env.evaluation import provenance

TRAINERS = {"evolution": evolution.train, "sb3_ppo": sb3.train}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished run")
    parser.add_argument("--out", metavar="DIR", help="folder of the run, instead of the configuration's")
    options, overrides = parser.parse_known_args(arguments)
    if options.out is not None:
        overrides.append(f"--out={options.out}")
    return exit_on_error(lambda: train(options.config, overrides, options.resume))


def train(name_or_path: str, overrides: Sequence[str], resume: bool) -> int:
    """Train the policy that the configuration describes and put the finished run in its place."""
    config = config_files.load(TrainConfig, name_or_path, "train", overrides)
    run = RunFolder(config.out)
    if resume:
        run.resume(config)
    else:
        run.start(config)
    trained = TRAINERS[config.trainer](config, run, resume)
    card = checkpoint.card_of(config.name, trained.actor, origin(config, trained))
    checkpoint.save(run.partial / "policy", trained.actor, card)
    run.finish()
    print(
        f"{config.name}: {trained.validation_cost_eur:.3f} EUR per validation day, the scripted rule "
        f"{trained.rule_cost_eur:.3f}; {trained.steps:,} steps in {trained.seconds:.0f} s"
    )
    print(f"policy: {config.out / 'policy'}")
    return 130 if trained.interrupted else 0


def origin(config: TrainConfig, trained: Trained) -> Provenance:
    """Return where the policy comes from."""
    return Provenance(
        revision=provenance.revision(),
        versions=provenance.versions(),
        config=config.model_dump(mode="json"),
        config_hash=config_files.digest(config),
        env_hash=config_files.digest(environment(config.env, "train")),
        seed=config.seed,
        steps=trained.steps,
        seconds=trained.seconds,
        validation_cost_eur=trained.validation_cost_eur,
        rule_cost_eur=trained.rule_cost_eur,
    )


if __name__ == "__main__":
    sys.exit(main())
