"""Loops that numba compiles, for what neither whole-array operations nor libraries do fast: short dependent steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

REORDERED = {"contract", "reassoc", "nsz"}  # sums may be added in the order of the vector registers


def compiled(function: Callable[..., Any], reordered: bool = True) -> Callable[..., Any]:
    """Return a function that is compiled at its first call with arguments of each type, and kept on disk.

    Beside the module, or in the user's cache; where neither can be written, every process compiles anew. Other threads
    run meanwhile. Arrays are not checked for their bounds, divisions by zero give infinity. Sums may be added in any
    order unless `reordered` is False.
    """
    fast = REORDERED if reordered else False
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy", fastmath=fast)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder to keep it in
        return njit(function, nogil=True, error_model="numpy", fastmath=fast)  # type: ignore[no-any-return]


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that compiled ones may call, for helpers of the same module: their caller keeps them."""
    return njit(function, error_model="numpy", fastmath=REORDERED)  # type: ignore[no-any-return]
