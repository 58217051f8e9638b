"""Work through a large batch in chunks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from totalflex_env.batch import map_tensors

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

NUMBERS = 65_536
"""Numbers of one field in a chunk: half a megabyte, so that the few fields a formula touches stay in the cache."""


def chunks(record: Record, count: int, width: int) -> Iterator[tuple[int, Record]]:
    """Yield the first row and the rows, as views, of each chunk of a record of `count` rows of `width` numbers."""
    rows = max(1, NUMBERS // max(1, width))
    if count <= rows:
        yield 0, record
        return
    for first in range(0, count, rows):
        yield first, map_tensors(record, itemgetter(slice(first, first + rows)))


def in_chunks(
    function: Callable[[Record], tuple[Tensor, ...]], record: Record, count: int, width: int
) -> tuple[Tensor, ...]:
    """Return what `function` makes of a record whose rows do not depend on each other, worked out chunk by chunk.

    Every tensor that it returns has the rows of what it was given.
    """
    whole: tuple[Tensor, ...] = ()
    for first, part in chunks(record, count, width):
        made = function(part)
        if len(made[0]) == count:
            return made
        whole = whole or tuple(torch.empty((count, *one.shape[1:]), dtype=one.dtype, device=one.device) for one in made)
        for one, into in zip(made, whole, strict=True):
            into[first : first + len(one)] = one
    return whole
