from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest
import torch

# Two test processes share two cores: more threads would only wait for each other.
torch.set_num_threads(1)

# On a developer's machine every run tries new examples; a change must not fail in CI for what another one left there.
hypothesis.settings.register_profile("totalflex", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("totalflex")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Continuous integration has every service: there, a test that would be skipped has failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report
