"""The ids under which Gymnasium makes environments in which one role acts."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

IDS: dict[str, dict[str, str]] = {
    "TotalFlex/Household-v0": {"env": "house", "agent": "aggregator_0", "reward": "household"},
    "TotalFlex/Aggregator-v0": {"env": "street", "agent": "aggregator_0", "reward": "system"},
    "TotalFlex/Brp-v0": {"env": "street", "agent": "brp_0", "reward": "role"},
    "TotalFlex/Dso-v0": {"env": "street", "agent": "dso_0", "reward": "role"},
}
"""What an id stands for: arguments of `single_env` and `make_vec`, each of which `gymnasium.make` can override."""


def register_all() -> None:
    """Make the ids known to Gymnasium; the end of the day is theirs to tell, so there is no limit of steps."""
    for name in IDS.keys() - registry.keys():
        register(
            name,
            entry_point="totalflex_env.envs.single:single_env",
            vector_entry_point="totalflex_env.envs.vector:make_vec",
            kwargs=dict(IDS[name]),
        )
