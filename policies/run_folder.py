"""The folder of a training run: `NAME.partial` while it is trained, `NAME` once it is finished.

`training/` holds the resolved configuration, tensorboard events, the learning curve and the state to resume from;
`policy/` the policy that was kept. A finished run of the same name stays until the new one takes its place.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from policies.config import TrainConfig
from totalflex_env import config_files
from totalflex_env.errors import ConfigError, DataError

CONFIG, CURVE, STATE = "config.yaml", "learning_curve.csv", "state.pt"


@dataclass(frozen=True)
class CurvePoint:
    """One validation."""

    seconds: float  # of training so far
    steps: int  # slots over all copies so far
    validation_cost_eur: float  # mean per validation day


@dataclass(frozen=True)
class RunFolder:
    """Where a run is written, and where it will lie when it is finished."""

    final: Path

    @property
    def partial(self) -> Path:
        """The folder of the unfinished run."""
        return self.final.with_name(f"{self.final.name}.partial")

    @property
    def training(self) -> Path:
        """What the training itself writes, inside the unfinished run."""
        return self.partial / "training"

    @property
    def state(self) -> Path:
        """The state to resume from."""
        return self.training / STATE

    def start(self, config: TrainConfig) -> None:
        """Begin anew; what an unfinished run left is removed."""
        if self.partial.exists():
            shutil.rmtree(self.partial)
        self.training.mkdir(parents=True)
        write(self.training / CONFIG, config_files.dump(config))

    def resume(self, config: TrainConfig) -> None:
        """Go on with the unfinished run, which must have been started with the same configuration."""
        if not self.state.is_file():
            raise DataError(str(self.partial), "state", "(nothing)", "an unfinished run; train without --resume")
        before = config_files.load(TrainConfig, str(self.training / CONFIG), "train")
        for name in TrainConfig.model_fields:
            here, there = vars(config)[name], vars(before)[name]
            if here != there and name not in {"time_limit_s", "total_steps"}:
                raise ConfigError(str(self.training / CONFIG), name, there, f"{here!r} as in this run, or train anew")
        write(self.training / CONFIG, config_files.dump(config))

    def finish(self) -> None:
        """Put the run in its place; a finished run that lay there is replaced."""
        old = self.final.with_name(f"{self.final.name}.old")
        if old.exists():
            shutil.rmtree(old)
        if self.final.exists():
            self.final.rename(old)
        self.partial.rename(self.final)
        if old.exists():
            shutil.rmtree(old)


def write(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def write_curve(folder: Path, curve: Sequence[CurvePoint]) -> None:
    """Write the learning curve into the training folder."""
    unfinished = folder / f"{CURVE}.tmp"
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(CurvePoint)])
        table.writeheader()
        table.writerows(asdict(point) for point in curve)
    os.replace(unfinished, folder / CURVE)


def read_curve(folder: Path) -> list[CurvePoint]:
    """Return the learning curve of a training folder, empty where there is none."""
    path = folder / CURVE
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return [
                CurvePoint(float(row["seconds"]), int(row["steps"]), float(row["validation_cost_eur"]))
                for row in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                str(path), "row", str(error), "seconds, steps and validation_cost_eur as numbers"
            ) from error
