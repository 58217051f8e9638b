"""What a comparison has finished so far, one file a task, so that an interrupted one can go on."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

from totalflex_env.errors import DataError
from totalflex_env.evaluation.results import Results


@dataclass(frozen=True)
class Ledger:
    """A folder of results. It holds pickles of this program's own making: resume only folders that you wrote."""

    folder: Path
    resume: bool  # False: what an earlier run left is not read

    def begin(self) -> None:
        """Forget what an earlier run left, unless this one goes on with it."""
        if not self.resume:
            self.close()

    def find(self, task: str, seeds: tuple[int, ...]) -> Results | None:
        """Return the results that the task with this description left on the days of `seeds`, if it has finished."""
        file = self._file(task)
        if not self.resume or not file.exists():
            return None
        found = pickle.loads(file.read_bytes())
        if not isinstance(found, Results):
            raise DataError(str(file), "content", type(found).__name__, "Results")
        if found.seeds != seeds:
            raise DataError(str(file), "seeds", list(found.seeds), f"results of days {list(seeds)}")
        return found

    def keep(self, task: str, results: Results) -> None:
        """Write the results of a finished task, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(task)
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(pickle.dumps(results))
        os.replace(unfinished, file)

    def close(self) -> None:
        """Remove the folder, for example because the comparison is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, task: str) -> Path:
        return self.folder / f"{hashlib.sha256(task.encode()).hexdigest()[:24]}.pickle"
