"""The base of every configuration model."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _range(seeds: object) -> str:
    """A single number reaches this as a whole number, which names no range either."""
    first, colon, end = (text := str(seeds)).partition(":")
    if not (colon and first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise ValueError("A:B with whole numbers 0 <= A < B")
    return text


Seeds = Annotated[str, BeforeValidator(_range)]
"""Days by their seeds: A:B are those of A, A + 1, ... B - 1."""


def days(seeds: Seeds) -> list[int]:
    """Return the seeds of all days."""
    first, _, end = seeds.partition(":")
    return list(range(int(first), int(end)))


class Settings(BaseModel):
    """Base of every configuration model: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
