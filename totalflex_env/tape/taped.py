"""Functions that are recorded once and then played: the same numbers without the overhead of torch.

On few rows torch spends nearly all of its time between operations: some microseconds for each, a thousand times a slot.
A `Taped` function of a slot and of records runs in torch in the first slots that it is called for, and what it does is
recorded. Two recordings tell what grows with the slot, offsets and numbers, and a third one has to agree. From then on
the tape is played by compiled code. Where that cannot be, because something else changes with the slot or because an
operation has no instruction, the function goes on in torch. So there is one source of every equation, and gradients are
taken from it: what requires them is never played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from totalflex_env.tape.deck import Deck, Take
from totalflex_env.tape.operations import HANDLERS
from totalflex_env.tape.record import Piece, Recorder, RecordingError
from totalflex_env.tape.structure import Builder, Node, builder, rebuilt

RECORDINGS = 3


@dataclass
class _Tape:
    """What is known of the function for records of one kind: recordings, or how to play them, or that it cannot be."""

    takes: list[Take] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)
    deck: Deck | None = None
    build: Builder | None = None
    failure: str | None = None


class Taped:
    """A pure function of records [B, ...] on the CPU, in which the `fixed` objects are always the same.

    Tensors in those, and all else that the function knows besides its records, count as constants. Records are
    dataclasses and tuples of tensors; other things in what is returned may only be whole numbers that grow with the
    slot, or stay as they are. Records are of different types; functions that are given the same ones may share `nodes`.
    """

    def __init__(self, function: Callable[..., Any], fixed: Sequence[object], nodes: dict[type, Node]) -> None:
        self._function, self._objects = function, fixed
        self._fixed = {id(each) for each in fixed}
        self._nodes = nodes
        self._tapes: dict[tuple[object, ...], _Tape] = {}

    @property
    def failures(self) -> list[str]:
        """Why the function could not be recorded, for each kind of records."""
        return [tape.failure for tape in self._tapes.values() if tape.failure is not None]

    @property
    def played(self) -> bool:
        """Whether there is a tape to play."""
        return any(tape.deck is not None for tape in self._tapes.values())

    def __call__(self, slot: int, *records: Any) -> Any:
        """Return what the function returns for these records, which belong to `slot`."""
        nodes = [self._nodes.setdefault(type(record), Node(self._fixed)) for record in records]
        for node, record in zip(nodes, records):
            node.take(record)
        tensors = [tensor for node in nodes for tensor in node.tensors]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return self._function(*records)
        tape = self._tapes.setdefault(tuple([mark for node in nodes for mark in node.marks]), _Tape())
        if tape.deck is not None and tape.build is not None:
            return tape.build(slot, iter(tape.deck.play(slot, tensors)))
        if tape.failure is not None or any(take.slot == slot for take in tape.takes):
            return self._function(*records)
        return self._record(tape, slot, records, tensors)

    def _record(self, tape: _Tape, slot: int, records: Any, tensors: list[Tensor]) -> Any:
        """Run the function in torch, and record it."""
        copies = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in tensors]
        rest = iter(copies)
        given = [rebuilt(record, self._fixed, lambda _: next(rest)) for record in records]
        recorder = Recorder(copies, HANDLERS)
        with recorder:
            returned = self._function(*given)
        try:
            tape.takes.append(Take(slot, recorder, _results(recorder, returned, self._fixed)))
            tape.returned.append(returned)
            if len(tape.takes) == RECORDINGS:
                tape.build = builder([take.slot for take in tape.takes], tape.returned, self._fixed)
                tape.deck = Deck(tape.takes)
        except RecordingError as failure:
            tape.failure = str(failure)
        if tape.deck is not None or tape.failure is not None:
            tape.takes, tape.returned = [], []
        return returned


def _results(recorder: Recorder, returned: Any, fixed: set[int]) -> tuple[Piece, ...]:
    """Where the tensors lie that the function returned."""
    if recorder.failure is not None:
        raise RecordingError(recorder.failure)
    pieces: list[Piece] = []
    rebuilt(returned, fixed, lambda tensor: pieces.append(recorder.result(tensor)))
    return tuple(pieces)
