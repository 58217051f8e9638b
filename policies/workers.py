"""Processes that share the work of a training or a comparison; one process works without any other."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import torch

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class _Here(Executor):
    """Runs everything at once in this process."""

    def submit(
        self, fn: Any, /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Return the finished future of a call."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
