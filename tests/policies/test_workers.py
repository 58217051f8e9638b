"""Work spread over processes comes back in order, and no process outlives the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from policies.workers import workers

PARENT = """
import os, time
from policies.workers import workers

if __name__ == "__main__":
    with workers(2) as spread:
        print(*set(spread(wait, range(4))), flush=True)
        time.sleep(60)
"""
WAIT = """
import os, time

def wait(_):
    time.sleep(0.3)
    return os.getpid()
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items(processes: int) -> None:
    with workers(processes) as spread:
        assert list(spread(abs, [-3, 2, -1])) == [3, 2, 1]


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(WAIT)
    (tmp_path / "parent.py").write_text(PARENT.replace("from policies", "from waiting import wait\nfrom policies", 1))
    checkout = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    ) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20.0
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < end, "a worker has outlived its parent"
        time.sleep(0.1)
