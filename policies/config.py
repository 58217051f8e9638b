"""Configuration of training and evaluation runs. A YAML file holds only what differs from the defaults written here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.settings import Seeds, Settings, days

Split = Literal["train", "validation", "test", "all"]


class EvolutionConfig(Settings):
    """Evolution strategies with antithetic pairs and common random numbers (Salimans et al. 2017)."""

    hidden: tuple[PositiveInt, ...] = Field((), description="width of each hidden layer; none is a linear policy")
    pairs: PositiveInt = Field(
        256, description="pairs of opposite perturbations per generation, each on a day of its own"
    )
    deviation: PositiveFloat = Field(0.01, description="of the perturbations of the parameters")
    step: PositiveFloat = Field(0.1, description="length of the first steps, falls linearly to zero")
    momentum: float = Field(0.8, ge=0.0, lt=1.0)
    processes: PositiveInt = Field(2, description="processes that share a generation")


class PpoConfig(Settings):
    """Proximal policy optimisation (Schulman et al. 2017)."""

    hidden: tuple[PositiveInt, ...] = Field((64, 64), min_length=1, description="width of each hidden layer")
    num_envs: PositiveInt = Field(256, description="copies of the world stepped together")
    learning_rate: PositiveFloat = Field(1e-3, description="of the first update, falls linearly to zero")
    gamma: float = Field(0.995, gt=0.0, le=1.0, description="discount per slot")
    gae_lambda: float = Field(0.95, ge=0.0, le=1.0, description="of the generalised advantage estimate")
    n_steps: PositiveInt = Field(96, description="slots that every copy is run before an update")
    epochs: PositiveInt = Field(4, description="passes over the collected slots per update")
    minibatch: PositiveInt = Field(2048, description="slots per gradient step")
    clip: PositiveFloat = Field(0.2, description="largest change of an action's probability ratio per update")
    entropy: NonNegativeFloat = 0.0
    value_weight: PositiveFloat = 0.5
    max_gradient: PositiveFloat = 0.5
    initial_std: PositiveFloat = Field(0.1, description="standard deviation of the first actions around the rule")


class ValidationConfig(Settings):
    """Which policy is kept: the one that costs least on days that are not trained on."""

    days: PositiveInt = 128
    first_seed: NonNegativeInt = Field(5000, description="seed of the first validation day")
    every_s: PositiveFloat = Field(15.0, description="seconds of training between two validations")


class TrainConfig(Settings):
    """One training run."""

    name: str = Field(description="of the run, and of the policy in reports")
    env: str = Field("street", description="registered name or path of the environment")
    trainer: Literal["evolution", "sb3_ppo"] = "evolution"
    seed: NonNegativeInt = Field(0, description="of the weights, the exploration and the first training day")
    total_steps: PositiveInt = Field(100_000_000, description="slots over all copies of the world, after which it ends")
    time_limit_s: PositiveFloat = Field(170.0, description="seconds after which it ends, if that is earlier")
    evolution: EvolutionConfig = EvolutionConfig()
    ppo: PpoConfig = PpoConfig()
    validation: ValidationConfig = ValidationConfig()
    checkpoint_every_s: PositiveFloat = Field(15.0, description="seconds between two states that --resume goes on from")
    out: Path = Field(description="folder of the run")

    @field_validator("env")
    @classmethod
    def _env_exists(cls, env: str) -> str:
        environment(env, "train")
        return env


class EvaluateConfig(Settings):
    """One comparison of policies."""

    title: str = Field("Comparison of policies", description="heading of the report")
    env: str | tuple[str, ...] = Field(
        "street", description="registered name or path of the environment; of several, a report each"
    )
    split: Split = Field("test", description="weeks that the days are drawn from")
    seeds: Seeds = Field("9000:9004", description="A:B are the days of seeds A, A + 1, ... B - 1")
    policies: tuple[str, ...] = Field(min_length=1, description="names of baselines, and paths of policy folders")
    default: str = Field("default_schedule", description="baseline whose score is 0")
    foresight: str = Field("foresight_milp", description="baseline whose score is 1")
    rolling: str = Field("rolling_milp", description="baseline whose causal score is 1")
    processes: PositiveInt = Field(2, description="processes that share the days of the mixed-integer programs")
    solver: Literal["highs", "gurobi"] = Field(
        "highs", description="of the mixed-integer programs; gurobi: extra gurobi"
    )
    out: Path = Field(description="folder of metrics.json, report.html and config.yaml")

    @model_validator(mode="after")
    def _references_are_compared(self) -> Self:
        missing = [name for name in (self.default, self.foresight, self.rolling) if name not in self.policies]
        if missing:
            raise ValueError(f"'policies' to hold the references {', '.join(missing)}")
        return self

    @property
    def envs(self) -> tuple[str, ...]:
        """The environments, one or several."""
        return (self.env,) if isinstance(self.env, str) else self.env

    @property
    def days(self) -> list[int]:
        """The seeds of all days."""
        return days(self.seeds)


def environment(name_or_path: str, split: Split) -> EnvConfig:
    """Return the environment of that registered name or path, with its days drawn from `split`."""
    config = config_files.load(EnvConfig, name_or_path, "env")
    return config.model_copy(update={"scenario": config.scenario.model_copy(update={"split": split})})
