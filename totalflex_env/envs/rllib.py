"""RLlib: the agents of one world as a MultiAgentEnv, and a configuration of PPO to start from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray

from totalflex_env.engine.roles import ROLES, Role
from totalflex_env.envs import names, spaces, worlds
from totalflex_env.envs.batched import Setup
from totalflex_env.envs.names import Agent
from totalflex_env.envs.parallel import TotalFlexParallelEnv
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import MissingExtraError
from totalflex_env.types import Policy

try:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.multi_agent_env import MultiAgentEnv
    from ray.rllib.utils.typing import AgentID
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "ray") from error

Sharing = Literal["shared", "role", "separate"]
"""One policy for all agents, one for each role, or one for each agent."""

Vector = NDArray[np.float32]
ByAgent = dict[Any, Any]


def make_config(
    env: Environment = "street", policies: Sharing = "role", others: Mapping[Role, Policy] | None = None
) -> PPOConfig:
    """Return a configuration of PPO in which the learners of the environment are trained, sampling in this process.

    Roles that do not learn follow their script, or the policy that `others` holds for them. Everything else is RLlib's
    own: `.env_runners(num_env_runners=8)`, `.training(...)`, `.build_algo()`.
    """
    config = worlds.configuration(env)
    chosen = {"env": config, "policies": policies, "others": dict(others or {})}
    here = RllibEnv(chosen)
    of_agent = functools.partial(policy_of, policies)
    return (
        PPOConfig()
        .environment(RllibEnv, env_config=chosen)
        .multi_agent(policies={of_agent(agent) for agent in here.possible_agents}, policy_mapping_fn=of_agent)
        .env_runners(num_env_runners=0)
        .debugging(seed=0)
    )


def policy_of(policies: Sharing, agent: AgentID, *episode: object, **further: object) -> str:
    """Return the name of the policy that an agent follows: 'shared', its role, or its own name."""
    return {"shared": "shared", "role": names.agent(str(agent)).role, "separate": str(agent)}[policies]


class RllibEnv(MultiAgentEnv):
    """`config` holds `env`, as everywhere, `policies`, and in `others` the Policy objects of roles that do not learn.

    All agents that are there on a day act in every slot and are truncated together.

    Where all share one policy, observations are filled up with zeros to the longest and end with a one for the agent's
    role; of an action the first numbers count, as many as the agent has controls.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        chosen = dict(config or {})
        setup = Setup(policies=chosen.get("others", {}), dtype=torch.float64)
        self._env = TotalFlexParallelEnv(chosen.get("env", "street"), None, setup)
        learners = self._env.config.learners
        agents = [names.agent(name) for name in self._env.possible_agents]
        self._roles = [role for role in ROLES if role in learners] if chosen.get("policies") == "shared" else []
        self._agents: dict[str, Agent] = {agent.name: agent for agent in agents}
        self.possible_agents = list(self._agents)
        self.agents = list(self.possible_agents)
        self._lengths = {name: (self._env.observation_space(name).shape or (0,))[0] for name in self._agents}
        self._controls = {name: (self._env.action_space(name).shape or (0,))[0] for name in self._agents}
        self.observation_spaces = {name: self._observed(name) for name in self._agents}
        self.action_spaces = {name: self._acted(name) for name in self._agents}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[ByAgent, ByAgent]:
        """Start the episode of `seed`, or of one that the environment's generator draws."""
        seen, told = self._env.reset(seed, options)
        self.agents = list(self._env.agents)
        return self._seen(seen), told

    def step(  # type: ignore[override] # RLlib's own class departs from Gymnasium's here
        self, action_dict: ByAgent
    ) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """Advance by one slot; `__all__` says whether everybody has ended."""
        actions = {str(name): np.asarray(values)[: self._controls[str(name)]] for name, values in action_dict.items()}
        seen, earned, terminated, truncated, told = self._env.step(actions)
        self.agents = list(self._env.agents)
        over = not self.agents
        ends = {**terminated, "__all__": False}, {**truncated, "__all__": over}
        return self._seen(seen), earned, *ends, told

    def _seen(self, seen: dict[str, Vector]) -> ByAgent:
        """Observations in the form that policies want."""
        if not self._roles:
            return seen
        width = max(self._lengths.values())
        found = {name: np.zeros(width + len(self._roles), np.float32) for name in seen}
        for name, values in seen.items():
            found[name][: len(values)] = values
            found[name][width + self._roles.index(self._agents[name].role)] = 1.0
        return found

    def _observed(self, name: str) -> Box:
        """The space of an agent's observations."""
        if not self._roles:
            return spaces.observation_space(self._agents[name].role)
        limit = spaces.OBSERVATION_LIMIT
        return Box(-limit, limit, (max(self._lengths.values()) + len(self._roles),), np.float32)

    def _acted(self, name: str) -> Box:
        """The space of an agent's actions."""
        if not self._roles:
            return spaces.action_space(self._agents[name].role)
        return Box(-1.0, 1.0, (max(self._controls.values()),), np.float32)
