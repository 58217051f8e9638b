from __future__ import annotations

from totalflex_env.envs.names import agents


def test_agents_come_in_a_fixed_order_whatever_the_order_of_the_learners() -> None:
    names = [agent.name for agent in agents(("dso", "brp", "prosumer", "aggregator"), houses=3)]
    assert names == ["prosumer_0", "prosumer_1", "prosumer_2", "aggregator_0", "brp_0", "dso_0"]


def test_roles_that_do_not_learn_have_no_agents() -> None:
    assert [agent.name for agent in agents(("brp",), houses=3)] == ["brp_0"]
    assert agents((), houses=3) == ()
