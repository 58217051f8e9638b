"""The profile of an aggregate nearest to a wanted one, or the proof that all of them are far away.

Members that share a profile have a price per slot (`dual`); for a profile that they cannot make it would run away. With
a spring between what they take and what is wanted it does not: at a price p they are asked for wanted + p / stiffness.
The stiffer the spring, the nearer they come; in the end the price is a constant, or rises in proportion. Either what
they take is the wanted profile, or what is missing points away from the aggregate: no profile of it is worth as much in
that direction, which its most valuable profile proves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.flexoffer import smooth
from totalflex_env.flexoffer.dual import WIDTH
from totalflex_env.flexoffer.exact import ExactAggregate
from totalflex_env.flexoffer.newton import balance
from totalflex_env.flexoffer.support import best

STIFFNESS = tuple(10.0**power for power in range(2, 11))  # EUR/kWh^2
CORNER = 1e6  # EUR/kWh, times its direction the price at which members take the profile of the most worth
SEARCHED = 0.1  # of the tolerance, the excess at which a search ends


@dataclass(frozen=True)
class Nearest:
    """Where the search ended: inside if the distance is within the tolerance, outside if something is proved."""

    price: Tensor  # [T] EUR/kWh at which the members take that profile, at the width WIDTH
    distance: float  # kWh (Euclidean norm over the slots) between that profile and the wanted one
    normal: Tensor  # [T] of length 1, from the one to the other; zero inside
    proved: float  # kWh; no profile of the aggregate is nearer than that; zero inside and where nothing is proved


def nearest(aggregate: ExactAggregate, profile: Tensor, near: float) -> Nearest:
    """Return the profile nearest to a wanted one [T] kWh, up to `near` kWh; starts of programmes may be fractional.

    An OfferError names a movable.
    """
    ready = smooth.prepare(aggregate.members)
    price = rise = zero = torch.zeros_like(profile)
    before = distance = 0.0
    for stiffness in STIFFNESS:
        guesses = (price, price + rise * (stiffness - before))
        found = _held(ready, profile, guesses, stiffness, SEARCHED * near)
        rise = (found - price) / (stiffness - before) if before else rise
        price, before = found, stiffness
        distance = float((profile - smooth.answer(ready, price, WIDTH)[0]).norm())
        if distance <= near:
            return Nearest(price, distance, zero, 0.0)
        normal = -price / price.norm()
        corner = best(aggregate, normal[None])[0]
        apart = float((profile - corner).norm())
        if apart <= near:  # programmes would take it only at an endless price
            return Nearest(-CORNER * normal, apart, zero, 0.0)
        proved = float(normal @ (profile - corner))
        if proved > near:
            return Nearest(price, distance, normal, proved)
    return Nearest(price, distance, zero, 0.0)


def _held(
    ready: smooth.Smooth, profile: Tensor, guesses: tuple[Tensor, ...], stiffness: float, tolerance: float
) -> Tensor:
    """Return the price [T] at which the members take what the spring asks for; the better of the guesses begins."""
    spring = torch.eye(len(profile), dtype=profile.dtype) / stiffness

    def excess(price: Tensor) -> tuple[Tensor, Tensor]:
        taken, derivative = smooth.answer(ready, price, WIDTH)
        return taken - profile - price / stiffness, derivative - spring

    first = min(guesses, key=lambda guess: float(excess(guess)[0].norm()))
    return balance(excess, first, tolerance).price
