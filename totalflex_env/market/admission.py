"""The gate of the auction: what is no proper order is returned with a reason, the rest is tightened and ordered by id.

Nothing is repaired and nothing disappears: every row of the book handed in is either admitted or rejected, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.errors import DataError, OfferError
from totalflex_env.flexoffer.lifecycle import NEXT
from totalflex_env.flexoffer.offers import tighten, validate
from totalflex_env.market.book import AuctionBook, FlexOrders, GridLimits, StepCurves
from totalflex_env.market.rejections import Reason, Rejection

Check = tuple[Reason, Tensor]  # and which rows fail it [N] bool
WITHIN = 1e-9  # kWh
OVER = tuple(int(state) for state, after in NEXT.items() if not after)
"""States of a flex-offer that nothing follows."""


def admit(book: AuctionBook) -> tuple[AuctionBook, tuple[Rejection, ...]]:
    """Return the book of what may be cleared, orders by their id and curves by theirs, and all rejections.

    The result depends on what is in the book, never on the order of its rows (but of two orders that share an identity
    the one received first is kept, and of these the first row). A gate, a cap or a slot that is no number would admit
    anything: a DataError.
    """
    _require_terms(book)
    reasons: dict[int, tuple[Reason, str]] = {}
    _note(reasons, _number_checks(book))
    _note_offers(reasons, book.orders)
    _note(reasons, _book_checks(book))
    _note_identities(reasons, book.orders)
    _note_links(reasons, book.orders)
    ids = book.orders.id.tolist()
    rejected = [Rejection("order", str(ids[row]), row, *why) for row, why in sorted(reasons.items())]
    kept = torch.tensor([row for row in book.orders.id.argsort(stable=True).tolist() if row not in reasons])
    orders = take_rows(book.orders, kept.long())
    curves, rejected_curves = _curves(book.curves)
    limits, rejected_limits = _limits(book.limits)
    orders = replace(orders, offers=tighten(orders.offers)) if len(orders.id) else orders
    admitted = replace(book, orders=orders, curves=curves, limits=limits)
    return admitted, (*rejected, *rejected_curves, *rejected_limits)


def _require_terms(book: AuctionBook) -> None:
    """Refuse a book whose own terms say nothing."""
    for field, value in (("slot_hours", book.slot_hours), ("price_cap", book.price_cap)):
        if not 0.0 < value < math.inf:
            raise DataError("auction book", field, value, "a number above 0")
    if not math.isfinite(book.gate):
        raise DataError("auction book", "gate", book.gate, "seconds since 1970")
    if book.begin.tzinfo is None:
        raise DataError("auction book", "begin", book.begin, "a time with its zone")


def _note(reasons: dict[int, tuple[Reason, str]], checks: Iterator[Check]) -> None:
    """Keep the first reason of each row."""
    for reason, fails in checks:
        for row in fails.nonzero()[:, 0].tolist():
            reasons.setdefault(row, (reason, ""))


def _number_checks(book: AuctionBook) -> Iterator[Check]:
    orders, offers = book.orders, book.orders.offers
    numbers = [orders.position, orders.price_more[:, None], orders.price_less[:, None], orders.worth[:, None]]
    numbers += [offers.lower, offers.upper, offers.default, offers.price_shift[:, None], orders.submitted[:, None]]
    numbers += [offers.total_lower[:, None], offers.total_upper[:, None]]
    level_nan = offers.level_lower.isnan().any(1) | offers.level_upper.isnan().any(1)
    yield Reason.NOT_A_NUMBER, level_nan | ~torch.cat([part.double() for part in numbers], 1).isfinite().all(1)
    inverted = (offers.lower > offers.upper + WITHIN).any(1) | (offers.total_lower > offers.total_upper + WITHIN)
    yield Reason.INVERTED_BOUNDS, inverted | (offers.level_lower > offers.level_upper + WITHIN).any(1)


def _note_offers(reasons: dict[int, tuple[Reason, str]], orders: FlexOrders) -> None:
    """Note the offers that break a rule, and which; `validate` names the first of several."""
    rows = torch.tensor([row for row in range(len(orders.id)) if row not in reasons], dtype=torch.int64)
    while len(rows):
        try:
            return validate(take_rows(orders.offers, rows))
        except OfferError as error:
            place, rule, _ = error.args
            reasons[int(rows[int(place)])] = (Reason.INVALID_OFFER, str(rule))
            rows = torch.cat([rows[: int(place)], rows[int(place) + 1 :]])


def _book_checks(book: AuctionBook) -> Iterator[Check]:
    orders, offers = book.orders, book.orders.offers
    yield Reason.OUTSIDE_DAY, offers.latest + offers.slices > book.slots
    nodes = book.limits.sensitivity.shape[1]
    yield Reason.UNKNOWN_NODE, (orders.node < 0) | (orders.node >= nodes)
    yield Reason.PAST_GATE, orders.submitted > book.gate
    yield Reason.REVOKED, torch.isin(offers.state, torch.tensor(OVER))
    idle = (offers.lower == 0.0).all(1) & (offers.upper == 0.0).all(1) & (orders.position == 0.0).all(1)
    yield Reason.EMPTY, idle
    prices = torch.stack([orders.price_more, orders.price_less], 1).abs()
    yield Reason.PRICE_ABOVE_CAP, (prices > book.price_cap).any(1)
    yield Reason.PRICES_NOT_CONVEX, orders.price_more + orders.price_less < 0.0
    grouped = orders.group >= 0
    yield Reason.LINKED_AND_EXCLUSIVE, grouped & ((orders.parent >= 0) | torch.isin(orders.id, orders.parent))
    named, group = orders.group.unique(return_inverse=True)
    must = torch.zeros(len(named)).index_add(0, group, orders.must_run.float())
    count = torch.zeros(len(named)).index_add(0, group, torch.ones(len(group)))
    yield Reason.MIXED_GROUP, grouped & ((must > 0) & (must < count))[group]


def _note_identities(reasons: dict[int, tuple[Reason, str]], orders: FlexOrders) -> None:
    """Of several orders with one identity keep the one received first."""
    first: dict[int, int] = {}
    ids = orders.id.tolist()
    for row in orders.submitted.argsort(stable=True).tolist():
        if row in reasons:
            continue
        if ids[row] not in first:
            first[ids[row]] = row
            continue
        same = _content(orders, row) == _content(orders, first[ids[row]])
        reasons[row] = (Reason.DUPLICATE if same else Reason.IDENTITY_REUSED, f"row {first[ids[row]]}")


def _content(orders: FlexOrders, row: int) -> list[object]:
    """Return everything that is in an order but when it was received."""
    fields = {**vars(orders), **vars(orders.offers)}
    return [value[row].tolist() for name, value in fields.items() if isinstance(value, Tensor) and name != "submitted"]


def _note_links(reasons: dict[int, tuple[Reason, str]], orders: FlexOrders) -> None:
    """Note orders whose parent is missing, rejected, an own descendant, or free where they are not."""
    ids, parents, must = orders.id.tolist(), orders.parent.tolist(), orders.must_run.tolist()
    row_of = {ids[row]: row for row in range(len(ids)) if row not in reasons}
    handed_in = set(ids)
    waiting = [row for row in row_of.values() if parents[row] >= 0]
    for row in waiting:
        if parents[row] not in handed_in:
            reasons.setdefault(row, (Reason.UNKNOWN_PARENT, str(parents[row])))
        elif _loops(row, row_of, parents):
            reasons.setdefault(row, (Reason.LINK_CYCLE, str(parents[row])))
        elif parents[row] in row_of and must[row] and not must[row_of[parents[row]]]:
            reasons.setdefault(row, (Reason.FORCED_CHILD, str(parents[row])))
    changed = True
    while changed:  # a rejected parent rejects its children, and they theirs
        lost = [row for row in waiting if row not in reasons and row_of.get(parents[row], -1) in {-1, *reasons}]
        reasons.update({row: (Reason.PARENT_REJECTED, str(parents[row])) for row in lost})
        changed = bool(lost)


def _loops(row: int, row_of: dict[int, int], parents: list[int]) -> bool:
    """Return whether the ancestors of an order include itself or never end."""
    seen, above = {row}, row_of.get(parents[row])
    while above is not None and parents[above] >= 0:
        if above in seen:
            return True
        seen.add(above)
        above = row_of.get(parents[above])
    return above in seen


def _curves(curves: StepCurves) -> tuple[StepCurves, list[Rejection]]:
    end = curves.start + curves.quantity.sum(2)
    numbers = torch.cat([curves.start[..., None], curves.quantity, curves.price], 2).isfinite().flatten(1).all(1)
    checks = (
        (Reason.NOT_A_NUMBER, ~numbers),
        (Reason.NEGATIVE_QUANTITY, (curves.quantity < 0.0).flatten(1).any(1)),
        (Reason.PRICES_FALL, (curves.price.diff(dim=2) < 0.0).flatten(1).any(1)),
        (Reason.ZERO_NOT_OFFERED, ((curves.start > WITHIN) | (end < -WITHIN)).any(1)),
        (Reason.DUPLICATE, torch.tensor([i in curves.id[:row] for row, i in enumerate(curves.id)], dtype=torch.bool)),
    )
    reasons: dict[int, tuple[Reason, str]] = {}
    _note(reasons, iter(checks))
    kept = [row for row in curves.id.argsort(stable=True).tolist() if row not in reasons]
    rejected = [Rejection("curve", str(int(curves.id[row])), row, *why) for row, why in sorted(reasons.items())]
    return take_rows(curves, torch.tensor(kept, dtype=torch.int64)), rejected


def _limits(limits: GridLimits) -> tuple[GridLimits, list[Rejection]]:
    values = torch.cat([limits.sensitivity, limits.base], 1).isfinite().all(1)
    bounds = torch.cat([limits.lower, limits.upper, limits.fall, limits.rise, limits.cap], 1)
    checks = (
        (Reason.NOT_A_NUMBER, ~values | bounds.isnan().any(1)),
        (Reason.INVERTED_BOUNDS, (limits.lower > limits.upper).any(1) | ((limits.fall < 0) | (limits.rise < 0)).any(1)),
        (Reason.NEGATIVE_CAP, (limits.cap < 0.0).any(1)),
    )
    reasons: dict[int, tuple[Reason, str]] = {}
    _note(reasons, iter(checks))
    kept = [row for row in range(len(limits.name)) if row not in reasons]
    rejected = [Rejection("limit", limits.name[row], row, *why) for row, why in sorted(reasons.items())]
    some = take_rows(replace(limits, name=()), torch.tensor(kept, dtype=torch.int64))
    return replace(some, name=tuple(limits.name[row] for row in kept)), rejected
