"""How kinds of devices are called in texts and pictures."""

from __future__ import annotations

NAMES = {
    "ev": ("vehicle", "vehicles"),
    "battery": ("battery", "batteries"),
    "pv": ("solar plant", "solar plants"),
    "hot-water": ("hot-water tank", "hot-water tanks"),
    "industry": ("batch process", "batch processes"),
    "charging-park": ("public charger", "public chargers"),
}
"""Singular and plural of kinds whose names do not tell them."""


def counted(kind: str, count: int) -> str:
    """Return a number of devices as text: "1 vehicle", "24 heat pumps"."""
    return f"{count} {_names(kind)[0 if count == 1 else 1]}"


def plural(kind: str) -> str:
    """Return the plural of a kind, such as "heat pumps" for "heat_pump"."""
    return _names(kind)[1]


def _names(kind: str) -> tuple[str, str]:
    """Singular and plural; a kind is written with hyphens in the engine, and as a field with underscores."""
    plain = kind.replace("_", "-")
    return NAMES.get(plain, (plain.replace("-", " "), plain.replace("-", " ") + "s"))
