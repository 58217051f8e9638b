"""Helpers for records: frozen dataclasses of tensors, possibly nested, whose leading axis is the batch [B, ...].

A tuple is a record by its places. A field that is neither a tensor nor a record (a name, a count, None) belongs to all
rows and passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


def map_tensors(record: Record, f: Callable[[Tensor], Tensor]) -> Record:
    """The same record with every tensor replaced by f(tensor)."""
    return combine([record], lambda tensors: f(tensors[0]))


def take_rows(record: Record, index: Tensor) -> Record:
    """Rows of a record, index int64 [R] or bool [B]; every tensor [B, ...] becomes [R, ...]."""
    return map_tensors(record, lambda tensor: tensor[index])


def where_rows(mask: Tensor, a: Record, b: Record) -> Record:
    """Row i of `a` where mask[i], else row i of `b`; mask bool [B], every tensor [B, ...]."""

    def choose(tensors: Sequence[Tensor]) -> Tensor:
        left, right = tensors
        return torch.where(mask.reshape(-1, *[1] * (left.dim() - 1)), left, right)

    return combine([a, b], choose)


def concatenate_rows(records: Sequence[Record]) -> Record:
    """Records of B1, B2, ... rows as one of B1 + B2 + ... rows; what is no tensor comes from the first."""
    return combine(records, lambda tensors: torch.cat(list(tensors)))


def concatenate_devices(records: Sequence[Any]) -> Any:
    """Records of n1, n2, ... devices, their last axis, as one of n1 + n2 + ...; what is no tensor from the first."""
    return combine(records, lambda tensors: torch.cat(list(tensors), dim=-1))


def stack_slots(records: Sequence[Record]) -> Record:
    """Records of single slots [B, ...] as one record [B, T, ...]; what is no tensor comes from the first."""
    return combine(records, lambda tensors: torch.stack(list(tensors), dim=1))


def to(record: Record, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Record:
    """The record on another device; only floating tensors take the dtype, so that indices stay int64 and masks bool."""
    return map_tensors(record, lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))


def equal(a: Record, b: Record, tolerance: float = 0.0) -> bool:
    """Whether two records agree: same shapes, floating numbers within the absolute tolerance, all else identical.

    NaN equals nothing, so a record that holds one is never equal.
    """
    return type(a) is type(b) and all(_same(value, vars(b)[name], tolerance) for name, value in vars(a).items())


def combine(records: Sequence[Record], f: Callable[[Sequence[Tensor]], Tensor]) -> Record:
    """Records of one type as one: each group of tensors at the same place by f(group), all else from the first."""
    return replace(
        records[0],
        **{name: _merge([vars(record)[name] for record in records], f) for name in vars(records[0])},
    )


def _merge(group: Sequence[Any], f: Callable[[Sequence[Tensor]], Tensor]) -> Any:
    """One field of several records: tensors by f, records and tuples by their parts, all else from the first."""
    first = group[0]
    if isinstance(first, Tensor):
        return f(group)
    if is_dataclass(first) and not isinstance(first, type):
        return combine(group, f)
    if isinstance(first, tuple):
        return tuple(_merge(parts, f) for parts in zip(*group, strict=True))
    return first


def _same(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.is_floating_point() != b.is_floating_point():
            return False
        if a.is_floating_point():
            return torch.allclose(a.double(), b.double(), rtol=0.0, atol=tolerance)
        return torch.equal(a, b)
    if is_dataclass(a) and is_dataclass(b):
        return equal(a, b, tolerance)  # type: ignore[type-var]
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(one, other, tolerance) for one, other in zip(a, b))
    return bool(a == b)
