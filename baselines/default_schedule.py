"""The world left alone: every device does what its own controller would do, and there is no flexibility market."""

from __future__ import annotations

from totalflex_env.engine import scripted
from totalflex_env.types import Action, Situation


class DefaultSchedule:
    """Vehicles charge at once, thermostats hold their set-points, batteries idle, appliances start when loaded."""

    def reset(self, situation: Situation) -> None:
        """Nothing is remembered."""

    def act(self, situation: Situation) -> Action:
        """Return the action that leaves all devices alone."""
        return scripted.untraded(situation, situation.default)
