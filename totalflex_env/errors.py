"""Every error this library raises on purpose. Each prints as lines a user can act on, never as a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence


class TotalFlexError(Exception):
    """Base of all errors of this library; its text is what the user is shown."""


class ConfigError(TotalFlexError):
    """A configuration field holds something that is not allowed; `also` carries further errors of the same file."""

    def __init__(self, file: str, field: str, value: object, expected: str, also: Sequence[ConfigError] = ()) -> None:
        super().__init__(file, field, value, expected, also)
        self.also = also

    def __str__(self) -> str:
        file, field, value, expected, also = self.args
        return "\n".join([_field_line(file, field, value, expected), *map(str, also)])


class DataError(TotalFlexError):
    """A data file or a message holds something that is not allowed."""

    def __init__(self, file: str, field: str, value: object, expected: str) -> None:
        super().__init__(file, field, value, expected)

    def __str__(self) -> str:
        return _field_line(*self.args)


class GridError(TotalFlexError):
    """A grid, or one element of it, cannot be used."""

    def __init__(self, element: str, value: object, expected: str) -> None:
        super().__init__(element, value, expected)

    def __str__(self) -> str:
        return _field_line("grid", *self.args)


class OfferError(TotalFlexError):
    """A flex-offer breaks one of its rules."""

    def __init__(self, offer: str, rule: str, value: object) -> None:
        super().__init__(offer, rule, value)

    def __str__(self) -> str:
        offer, rule, value = self.args
        return f"flex-offer {offer}: {_one_line(value)} breaks the rule: {rule}"


class SettlementError(TotalFlexError):
    """Money does not add up."""

    def __init__(self, what: str, value: object, expected: str) -> None:
        super().__init__(what, value, expected)

    def __str__(self) -> str:
        return _field_line("settlement", *self.args)


class PhysicsError(TotalFlexError):
    """A model left the range in which it describes anything real."""

    def __init__(self, what: str) -> None:
        super().__init__(what)


class InfeasibleError(TotalFlexError):
    """No plan keeps all constraints; each conflict says whose constraint it is and which one."""

    def __init__(self, conflicts: Sequence[str]) -> None:
        super().__init__(tuple(conflicts))

    def __str__(self) -> str:
        (conflicts,) = self.args
        return f"no plan keeps all of these together: {'; '.join(conflicts)}"


class OutOfTimeError(TotalFlexError):
    """A solver found no plan at all in the time it was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)

    def __str__(self) -> str:
        return f"the solver found no plan within {self.args[0]:g} s; give it more time or a smaller problem"


class MissingExtraError(TotalFlexError):
    """An optional library is needed and not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(module, extra)

    def __str__(self) -> str:
        module, extra = self.args
        return f'{module} is not installed; run: pip install "totalflex[{extra}]"'


def exit_on_error(main: Callable[[], int]) -> int:
    """Run a program and return its exit status: for an error of this library 2, with its lines on stderr."""
    try:
        return main()
    except TotalFlexError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 2


def _field_line(file: str, field: str, value: object, expected: str) -> str:
    return f"{file}: {field} = {_one_line(value)}: expected {expected}"


def _one_line(value: object) -> str:
    """The value on one line of at most 120 characters, so that a wrong one never floods the terminal."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 120 else text[:117] + "..."
