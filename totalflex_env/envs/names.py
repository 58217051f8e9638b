"""Who acts: one agent per house for prosumers, one per aggregator, and one for each of the other roles."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from totalflex_env.engine.roles import ROLES, Role
from totalflex_env.errors import ConfigError


@dataclass(frozen=True)
class Agent:
    """One learner, e.g. `prosumer_3`: number `index` of its role."""

    role: Role
    index: int

    @property
    def name(self) -> str:
        """The name by which frameworks know the agent."""
        return f"{self.role}_{self.index}"


def agents(learners: Collection[str], houses: int, aggregators: int = 1) -> tuple[Agent, ...]:
    """Return the agents of the roles that learn, in the fixed order of `ROLES`; roles not named are scripted."""
    count = {"prosumer": houses, "aggregator": aggregators}
    return tuple(Agent(role, index) for role in ROLES if role in learners for index in range(count.get(role, 1)))


def agent(name: str) -> Agent:
    """Return the agent of a name such as 'prosumer_3'; what is no role and number is a ConfigError."""
    role, _, index = name.rpartition("_")
    for each in ROLES:
        if role == each and index.isdecimal():
            return Agent(each, int(index))
    raise ConfigError("environment", "agent", name, f"a role and a number, as in 'dso_0'; roles: {', '.join(ROLES)}")


def find(name: str, houses: int, aggregators: int) -> Agent:
    """Return the agent of that name; one that is not there is a ConfigError."""
    there = agents(ROLES, houses, aggregators)
    if (wanted := agent(name)) not in there:
        raise ConfigError("environment", "agent", name, f"one of {', '.join(each.name for each in there)}")
    return wanted
