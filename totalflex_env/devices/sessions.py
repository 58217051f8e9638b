"""Sessions: when storages are connected and what they are to hold then, and what may be known of it beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sessions:
    """When storages are connected and what they are to hold then, K sessions one after the other."""

    arrival: Tensor  # [B, K, n] int64, first slot of presence
    departure: Tensor  # [B, K, n] int64, first slot of absence, the arrival itself if nobody comes
    need_kwh: Tensor  # [B, K, n] stored energy asked for at departure, 0 for batteries
    stored_kwh: Tensor  # [B, K, n] stored energy at arrival


def side_by_side(habits: Sequence[Sessions]) -> Sessions:
    """Return the sessions of several kinds of storages as one record, padded to the same number of sessions."""
    most = max(each.arrival.shape[1] for each in habits)

    def padded(values: Sequence[Tensor], filler: Sequence[Tensor]) -> Tensor:
        return torch.cat(
            [torch.cat([v, f.expand(-1, most - v.shape[1], -1)], dim=1) for v, f in zip(values, filler)], dim=-1
        )

    never = [torch.full_like(each.arrival[:, :1], torch.iinfo(torch.int64).max // 2) for each in habits]
    nothing = [torch.zeros_like(each.need_kwh[:, :1]) for each in habits]
    return Sessions(
        arrival=padded([each.arrival for each in habits], never),
        departure=padded([each.departure for each in habits], never),
        need_kwh=padded([each.need_kwh for each in habits], nothing),
        stored_kwh=padded([each.stored_kwh for each in habits], nothing),
    )


def coming(habits: Sessions, slot: int) -> Sessions:
    """Return the first session that has not ended before `slot`, every tensor [B, n]; else the last.

    One that is not expected any more has ended, also if an earlier one has not.
    """
    if habits.arrival.shape[1] == 1:
        return Sessions(habits.arrival[:, 0], habits.departure[:, 0], habits.need_kwh[:, 0], habits.stored_kwh[:, 0])
    number = torch.arange(habits.arrival.shape[1], device=habits.arrival.device)[:, None]
    first = torch.where(habits.departure > slot, number, len(number) - 1).amin(dim=1, keepdim=True)
    arrival, departure, need, stored = (part.gather(1, first)[:, 0] for part in vars(habits).values())
    return Sessions(arrival, departure, need, stored)


def known(actual: Sessions, expected: Sessions, time: tuple[int, int], charge_kwh: Tensor) -> Sessions:
    """Return sessions as they are known in a slot, `time` being that slot and the number of slots.

    Those that have begun are as they are, the others as expected; overdue ones come in the next slot. A late vehicle
    stays as long as it needs to charge, `charge_kwh` [n] in a slot. One that has not come before the end of an expected
    session is not expected any more where further sessions follow: it is as if it had begun and ended before `slot`.
    """
    slot, slots = time
    there = actual.arrival <= slot
    arrival = expected.arrival.clamp(min=slot + 1, max=slots)
    needed = torch.ceil((expected.need_kwh - expected.stored_kwh) / charge_kwh - 1e-6).long()
    departure = torch.maximum(expected.departure, arrival + needed).clamp(max=slots)
    if arrival.shape[1] > 1:
        free = torch.where(there, actual.departure, slot + 1).amax(dim=1, keepdim=True)
        following = torch.cat([expected.arrival[:, 1:], torch.full_like(arrival[:, :1], slots)], dim=1)
        over, arrival = expected.departure <= slot + 1, torch.maximum(arrival, free).clamp(max=slots)
        departure = torch.minimum(departure, torch.maximum(following, free)).clamp(max=slots)
        departure = torch.where(over, slot - 1, torch.maximum(departure, arrival))
        arrival = torch.where(over, slot - 1, arrival)
    need = torch.minimum(expected.need_kwh, expected.stored_kwh + (departure - arrival) * charge_kwh)
    return Sessions(
        arrival=torch.where(there, actual.arrival, arrival),
        departure=torch.where(there, actual.departure, departure),
        need_kwh=torch.where(there, actual.need_kwh, need),
        stored_kwh=torch.where(there, actual.stored_kwh, expected.stored_kwh),
    )
