"""Who acts: the roles, and one agent per house for prosumers and one for each of the others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Role = Literal["prosumer", "aggregator", "brp", "dso"]

ROLES: tuple[Role, ...] = ("prosumer", "aggregator", "brp", "dso")
"""In the order in which agents are listed everywhere."""


@dataclass(frozen=True)
class Agent:
    """One learner, e.g. `prosumer_3`: number `index` of its role."""

    role: Role
    index: int

    @property
    def name(self) -> str:
        """The name by which frameworks know the agent."""
        return f"{self.role}_{self.index}"


def agents(learners: Collection[str], houses: int) -> tuple[Agent, ...]:
    """Return the agents of the roles that learn, in the fixed order of `ROLES`; roles not named are scripted."""
    count = {"prosumer": houses}
    return tuple(Agent(role, index) for role in ROLES if role in learners for index in range(count.get(role, 1)))
