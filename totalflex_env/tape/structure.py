"""Records as the tensors in them: taken apart, put together again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor

from totalflex_env.tape.record import RecordingError

Builder = Callable[[int, Iterator[Tensor]], Any]
"""Puts together what belongs to a slot from tensors in their order."""


class Node:
    """A record as it was taken apart last; parts that are the same objects are not taken apart again."""

    def __init__(self, fixed: Collection[int]) -> None:
        self._fixed = fixed
        self._record: Any = self
        self._parts: list[Node | None] = []  # None of tensors
        self.tensors: list[Tensor] = []
        self.marks: list[object] = []  # what else tells one kind of record from another

    def take(self, record: Any) -> None:
        """Take a record apart."""
        if record is self._record:
            return
        parts = parts_of(record, self._fixed) or ()
        if len(self._parts) != len(parts):
            self._parts = [None] * len(parts)
        tensors: list[Tensor] = []
        marks: list[object] = []
        for place, part in enumerate(parts):
            if type(part) is Tensor:
                tensors.append(part)
                marks.append(part.shape)
            elif part is None or part is True or part is False:
                marks.append(part)
            elif isinstance(part, tuple) or is_dataclass(part):
                node = self._parts[place] or Node(self._fixed)
                node.take(part)
                tensors += node.tensors
                marks += node.marks
                self._parts[place] = node
        self._record, self.tensors, self.marks = record, tensors, marks


def parts_of(record: Any, fixed: Collection[int]) -> tuple[Any, ...] | None:
    """Return the fields of a dataclass or the places of a tuple; None of all else, and of objects in `fixed`."""
    if isinstance(record, tuple):
        return record
    if is_dataclass(record) and not isinstance(record, type) and id(record) not in fixed:
        return tuple(vars(record).values())
    return None


def rebuilt(record: Any, fixed: Collection[int], change: Callable[[Tensor], Any]) -> Any:
    """Return the record with every tensor changed."""
    if isinstance(record, Tensor):
        return change(record)
    parts = parts_of(record, fixed)
    if parts is None:
        return record
    return _joined(record, [rebuilt(part, fixed, change) for part in parts])


def builder(slots: Sequence[int], records: Sequence[Any], fixed: Collection[int]) -> Builder:
    """Return what puts records together like these, which belong to the `slots`; the last one is the pattern.

    Whole numbers in them grow with the slot, else what is no tensor is always the same, or it is not recorded.
    """
    last = records[-1]
    if isinstance(last, Tensor):
        return lambda slot, tensors: next(tensors)
    parts = [parts_of(record, fixed) for record in records]
    if parts[-1] is not None:
        builders = [builder(slots, column, fixed) for column in zip(*parts)]
        return lambda slot, tensors: _joined(last, [build(slot, tensors) for build in builders])
    if all(record is last or record == last for record in records):
        return lambda slot, tensors: last
    if any(not isinstance(record, int) or record - slot != last - slots[-1] for record, slot in zip(records, slots)):
        raise RecordingError(f"returns a {type(last).__name__} that changes")
    return lambda slot, tensors: last + slot - slots[-1]


def _joined(pattern: Any, parts: list[Any]) -> Any:
    return tuple(parts) if isinstance(pattern, tuple) else type(pattern)(*parts)
