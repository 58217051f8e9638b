"""Which numbers of an action can change anything in a slot: int8, 1 for those that can."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.devices.storage import Storage
from totalflex_env.devices.thermal import Thermal
from totalflex_env.engine.dispatch import AGGREGATOR_CONTROLS
from totalflex_env.engine.roles import Controls, Role, neutral
from totalflex_env.types import Episode, Params, Situation

GROUPS = ("vehicle", "heat", "battery")
"""What the name of an aggregator's control begins with: the devices that it is for."""


SHARE = 0
"""Place of the share of ratings among the DSO's controls."""


def groups(params: Params) -> Tensor:
    """Return the place in `GROUPS` [N] int64 of every device; those that no control is for have the number after it."""
    none = len(GROUPS)
    parts = [params.house[:0]]
    for family in params.families:
        group = torch.full_like(family.house, none)
        if isinstance(family, Storage):
            group = torch.where(family.session, GROUPS.index("vehicle"), GROUPS.index("battery"))
        elif isinstance(family, Thermal):
            group = torch.full_like(family.house, GROUPS.index("heat"))
        parts.append(group)
    return torch.cat(parts)


def there(params: Params, episode: Episode) -> dict[Role, Tensor]:
    """Return which agents of every role there are in an episode: [B, agents] bool.

    A prosumer is there with its house, an aggregator with any of its houses, grid operator and balance responsible
    party always.
    """
    rows, who = len(episode.actual.spot), episode.actual.population
    always = torch.ones(rows, 1, dtype=torch.bool, device=params.house.device)
    houses = always.expand(-1, len(params.node)) if who is None else who.houses
    count = houses.new_zeros(rows, params.aggregators, dtype=torch.int64).index_add(1, params.aggregator, houses.long())
    return {"prosumer": houses, "aggregator": count > 0, "brp": always, "dso": always}


def masks(situation: Situation, group: Tensor) -> Controls:
    """Return the mask of every role's controls [B, agents, controls] int8; `group` [N] as `groups` says.

    A control of the aggregator counts while one of its devices of that group can choose how much it takes, those of a
    prosumer while one of its devices can, the DSO's share of ratings wherever the clearing has a limit to keep.
    """
    params, rows = situation.params, len(situation.lower)
    movable = (situation.upper > situation.lower).long()
    houses = movable.new_zeros(rows, len(params.node)).index_add(1, params.house, movable).clamp(max=1)
    place = params.aggregator[params.house] * (len(GROUPS) + 1) + group
    count = movable.new_zeros(rows, params.aggregators * (len(GROUPS) + 1)).index_add(1, place, movable)
    open_groups = count.clamp(max=1).unflatten(1, (params.aggregators, len(GROUPS) + 1))
    of_control = [GROUPS.index(control.name.split("_")[0]) for control in AGGREGATOR_CONTROLS]
    idle = neutral(params, rows)
    dso = torch.ones_like(idle.dso, dtype=torch.int8)
    dso[:, SHARE] = int(len(params.limited) > 0)
    return Controls(
        prosumer=houses.to(torch.int8)[..., None].expand_as(idle.prosumer),
        aggregator=open_groups.to(torch.int8)[..., of_control],
        brp=torch.ones_like(idle.brp, dtype=torch.int8),
        dso=dso,
    )
