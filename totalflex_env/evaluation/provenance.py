"""Where a result comes from: the revision of the code and the versions it ran with."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("totalflex", "torch", "numpy", "pandapower", "simbench", "stable-baselines3", "linopy", "highspy")


def revision() -> str:
    """Return the git commit of the checkout, '+changes' added when files differ; 'unknown' outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}+changes" if _git("status", "--porcelain") else commit


def versions() -> dict[str, str]:
    """Return the version of Python and of every package whose results could depend on it, as far as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    try:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()
