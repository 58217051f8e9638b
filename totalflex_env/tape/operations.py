"""How operations of torch are written down as instructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from totalflex_env.tape import play
from totalflex_env.tape.record import Handler, Operand, Recorder, RecordingError


def _each(what: int, order: Callable[..., tuple[Operand, ...]] = lambda *operands: operands) -> Handler:
    """What is done to each number alone, the operands put in `order`."""

    def handle(recorder: Recorder, out: Tensor, *operands: Operand, **options: Any) -> None:
        if options.get("alpha", 1) != 1:
            raise RecordingError("alpha")
        recorder.emit(what, out, *order(*operands))

    return handle


def _logical(what: int) -> Handler:
    """What is done to each truth value alone."""

    def handle(recorder: Recorder, out: Tensor, *operands: Operand) -> None:
        if out.dtype != torch.bool:
            raise RecordingError("bits")
        recorder.emit(what, out, *operands)

    return handle


def _copy(recorder: Recorder, out: Tensor, value: Tensor, *_: Any, **__: Any) -> None:
    recorder.emit(play.COPY, out, value)


def _copy_into(recorder: Recorder, out: Tensor, _: Tensor, value: Operand, *__: Any) -> None:
    recorder.emit(play.COPY, out, value)


def _divide(recorder: Recorder, out: Tensor, a: Operand, b: Operand, rounding_mode: str | None = None) -> None:
    if rounding_mode not in (None, "floor"):
        raise RecordingError(f"rounding {rounding_mode}")
    recorder.emit(play.FLOOR_DIVIDE if rounding_mode else play.DIV, out, a, b)


def _clamp(
    recorder: Recorder, out: Tensor, value: Operand, min: Operand | None = None, max: Operand | None = None
) -> None:
    if min is not None:
        recorder.emit(play.MAX, out, value, min)
        value = out
    if max is not None:
        recorder.emit(play.MIN, out, value, max)


def _power(recorder: Recorder, out: Tensor, base: Operand, exponent: Operand) -> None:
    if isinstance(exponent, Tensor) or exponent not in (2, 0.5):
        recorder.emit(play.POWER, out, base, exponent)
    elif exponent == 2:
        recorder.emit(play.MUL, out, base, base)
    else:
        recorder.emit(play.SQRT, out, base)


def _reduced(what: int, begin: float) -> Handler:
    """What goes over the numbers along some axes, all of them if none is named; `begin` if there are none."""

    def handle(
        recorder: Recorder, out: Tensor, value: Tensor, dim: Any = None, keepdim: bool = False, **_: Any
    ) -> None:
        axes = _axes(value, dim)
        kept = out if keepdim else _unsqueezed(out, axes)
        start: Operand = begin if out.dtype.is_floating_point else int(max(min(begin, 2**62), -(2**62)))
        recorder.emit(play.COPY, out, start)
        recorder.over(tuple(value.shape), what, kept, value)

    return handle


def _mean(recorder: Recorder, out: Tensor, value: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> None:
    _reduced(play.SUM, 0.0)(recorder, out, value, dim, keepdim)
    recorder.emit(play.DIV, out, out, float(value.numel() // max(out.numel(), 1)))


def _any(recorder: Recorder, out: Tensor, value: Tensor, dim: Any = None, keepdim: bool = False) -> None:
    _reduced(play.MOST, 0)(recorder, out, value, dim, keepdim)


def _all(recorder: Recorder, out: Tensor, value: Tensor, dim: Any = None, keepdim: bool = False) -> None:
    _reduced(play.LEAST, 1)(recorder, out, value, dim, keepdim)


def _argmax(recorder: Recorder, out: Tensor, value: Tensor, dim: int, keepdim: bool = False) -> None:
    """The first place of the largest number: the least of the places that hold it."""
    axis, length = dim % value.dim(), value.shape[dim]
    most, holds = value.amax(dim, keepdim=True), value == value
    place = torch.arange(length).reshape(-1, *[1] * (value.dim() - 1 - axis))
    places = torch.empty(value.shape, dtype=torch.int64)
    recorder.emit(play.COPY, most, value.select(axis, 0).unsqueeze(axis))
    recorder.over(tuple(value.shape), play.MOST, most, value)
    recorder.emit(play.EQUAL, holds, value, most)
    recorder.emit(play.SELECT, places, holds, place, length)
    _reduced(play.LEAST, length)(recorder, out, places, axis, keepdim)


def _axes(value: Tensor, dim: Any) -> list[int]:
    if dim is None or dim == []:
        return list(range(value.dim()))
    return sorted(axis % value.dim() for axis in (dim if isinstance(dim, Sequence) else [dim]))


def _unsqueezed(value: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in axes:
        value = value.unsqueeze(axis)
    return value


def _product(recorder: Recorder, out: Tensor, a: Tensor, b: Tensor) -> None:
    """out[..., i, j] is the sum of a[..., i, k] b[..., k, j] over k."""
    recorder.emit(play.COPY, out, 0.0)
    shape = (*out.shape, a.shape[-1])
    recorder.over(shape, play.SUM_OF_PRODUCTS, out.unsqueeze(-1), a.unsqueeze(-2), b.mT.unsqueeze(-3))


def _concatenate(recorder: Recorder, out: Tensor, parts: Sequence[Tensor], dim: int = 0) -> None:
    begin = 0
    for part in parts:
        if part.numel():
            recorder.emit(play.COPY, out.narrow(dim, begin, part.shape[dim]), part)
            begin += part.shape[dim]


def _stack(recorder: Recorder, out: Tensor, parts: Sequence[Tensor], dim: int = 0) -> None:
    for place, part in enumerate(parts):
        recorder.emit(play.COPY, out.select(dim, place), part)


def _repeat(recorder: Recorder, out: Tensor, value: Tensor, repeats: Sequence[int]) -> None:
    sizes = [1] * (len(repeats) - value.dim()) + list(value.shape)
    copies = out.view([number for pair in zip(repeats, sizes) for number in pair])
    recorder.emit(play.COPY, copies, value.reshape([number for size in sizes for number in (1, size)]))


def _pad(recorder: Recorder, out: Tensor, value: Tensor, pad: Sequence[int], filler: float = 0.0) -> None:
    recorder.emit(play.COPY, out, filler)
    inner = out
    for place in range(len(pad) // 2):
        inner = inner.narrow(-1 - place, pad[2 * place], value.shape[-1 - place])
    recorder.emit(play.COPY, inner, value)


def _along(value: Tensor, dim: int) -> tuple[Tensor, int]:
    """The first slice along an axis, for all of its length, and how many bytes the next one is away."""
    first = value.narrow(dim, 0, min(1, value.shape[dim]))
    return first, value.stride(dim) * value.element_size()


def _gather(recorder: Recorder, out: Tensor, value: Tensor, dim: int, index: Tensor, **_: Any) -> None:
    for axis in range(value.dim()):
        if axis != dim % value.dim():
            value = value.narrow(axis, 0, index.shape[axis])
    first, step = _along(value, dim)
    recorder.emit(play.GATHER, out, first, index, beside=(step,))


def _select(recorder: Recorder, out: Tensor, value: Tensor, dim: int, index: Tensor) -> None:
    first, step = _along(value, dim)
    recorder.emit(play.GATHER, out, first, _lying(index, value, dim), beside=(step,))


def _lying(index: Tensor, like: Tensor, dim: int) -> Tensor:
    """An index [k] along one axis of a tensor, to be broadcast with it."""
    return index.reshape([-1 if axis == dim % like.dim() else 1 for axis in range(like.dim())])


def _index(recorder: Recorder, out: Tensor, value: Tensor, indices: Sequence[Tensor | None]) -> None:
    """Places given by one or two whole tensors along neighbouring axes."""
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    given = [index for index in indices if index is not None]
    if len(axes) > 2 or axes[-1] - axes[0] >= len(axes) or any(index.dtype != torch.int64 for index in given):
        raise RecordingError("indices")
    shape = torch.broadcast_shapes(*(index.shape for index in given))
    after = value.dim() - axes[-1] - 1
    steps = [value.stride(axis) * value.element_size() for axis in axes]
    for axis in reversed(axes):
        value = value.select(axis, 0)
    for _ in shape:
        value = value.unsqueeze(axes[0])
    laid = [index.reshape(*index.shape, *[1] * after) for index in given]
    recorder.emit(play.GATHER, out, value, *laid, beside=tuple(steps))


def _add_at(recorder: Recorder, out: Tensor, value: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    recorder.emit(play.COPY, out, value)
    first, step = _along(out, dim)
    lying = _lying(index, source, dim)
    recorder.over(tuple(source.shape), play.SCATTER_SUM, first, source, lying, beside=(step,))


def _scatter(recorder: Recorder, out: Tensor, *given: Any, include_self: bool = True) -> None:
    value, dim, index, source, reduce = given
    if reduce != "amin" or index.shape != source.shape:
        raise RecordingError(reduce)
    recorder.emit(play.COPY, out, value)
    for axis in range(out.dim()):
        if axis != dim % out.dim():
            out = out.narrow(axis, 0, index.shape[axis])
    first, step = _along(out, dim)
    shape = tuple(index.shape)
    if not include_self:
        recorder.over(shape, play.SCATTER, first, torch.tensor(torch.inf, dtype=out.dtype), index, beside=(step,))
    recorder.over(shape, play.SCATTER_LEAST, first, source, index, beside=(step,))


_EACH: dict[str, Handler] = {
    "add": _each(play.ADD),
    "sub": _each(play.SUB),
    "rsub": _each(play.SUB, lambda a, b, *_: (b, a)),
    "mul": _each(play.MUL),
    "reciprocal": _each(play.DIV, lambda a: (1.0, a)),
    "floor_divide": _each(play.FLOOR_DIVIDE),
    "minimum": _each(play.MIN),
    "maximum": _each(play.MAX),
    "where": _each(play.SELECT),
    "lt": _each(play.LESS),
    "gt": _each(play.LESS, lambda a, b: (b, a)),
    "le": _each(play.AT_MOST),
    "ge": _each(play.AT_MOST, lambda a, b: (b, a)),
    "eq": _each(play.EQUAL),
    "ne": _each(play.UNEQUAL),
    "bitwise_and": _logical(play.MIN),
    "bitwise_or": _logical(play.MAX),
    "bitwise_not": _logical(play.NOT),
    "logical_not": _each(play.NOT),
    "neg": _each(play.NEG),
    "abs": _each(play.ABS),
    "sign": _each(play.SIGN),
    "exp": _each(play.EXP),
    "sqrt": _each(play.SQRT),
    "round": _each(play.ROUND),
    "floor": _each(play.FLOOR),
    "ceil": _each(play.CEIL),
    "erf": _each(play.ERF),
    "cos": _each(play.COS),
    "tan": _each(play.TAN),
    "atan": _each(play.ARCTAN),
    "acos": _each(play.ARCCOS),
    "hypot": _each(play.HYPOT),
    "lerp": _each(play.INTERPOLATE),
    "pow": _power,
    "div": _divide,
    "clamp": _clamp,
    "_to_copy": _copy,
    "clone": _copy,
}
_OTHERS: dict[str, Handler] = {
    "copy_": _copy_into,
    "fill_": _copy_into,
    "sum": _reduced(play.SUM, 0.0),
    "amin": _reduced(play.LEAST, torch.inf),
    "amax": _reduced(play.MOST, -torch.inf),
    "mean": _mean,
    "any": _any,
    "all": _all,
    "argmax": _argmax,
    "mm": _product,
    "bmm": _product,
    "cat": _concatenate,
    "stack": _stack,
    "repeat": _repeat,
    "constant_pad_nd": _pad,
    "gather": _gather,
    "index_select": _select,
    "index": _index,
    "index_add": _add_at,
    "scatter_reduce": _scatter,
}
HANDLERS: dict[str, Handler] = {
    **{f"aten::{name}{end}": handler for name, handler in _EACH.items() for end in ("", "_")},
    **{f"aten::{name}": handler for name, handler in _OTHERS.items()},
}
"""By the name of the operation."""
