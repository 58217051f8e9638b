"""The clearing of one book as a kernel: pieces of bids in falling order of price, merged from the leaves to the root.

What is cleared, and why this is the optimum, is told in `clearing.py`. A piece is a segment or a part of it. Its key is
owner - price * 2**bits, with as many bits as the number of segments has: small keys are dear, and at equal prices those
of the segment with the lower index. So a shift of prices is a shift of keys, an order by keys needs no ties to be
broken, and owner and price are read off a key without a division.
"""

from __future__ import annotations

from typing import Any

from totalflex_env.compiled import inlined
from totalflex_env.kernels import kernel

FAR = 2**61  # stands for infinity among mWh and micro-EUR; two of them still fit into an int64
_RUN = 8  # keys that are sorted by insertion before runs of them are merged


def scratch_numbers(segments: int, elements: int, houses: int) -> int:
    """Return how many int64 numbers of scratch memory a book needs: every limit may cut two pieces more."""
    return 6 * (segments + 2 * elements) + 4 * elements + houses


@inlined
def _bits(segments: int) -> int:
    """How many of the lowest bits of a key tell whose piece it is."""
    bits = 0
    while segments >> bits:
        bits += 1
    return bits


@inlined
def _sort(keys: Any, spare: Any, count: int) -> None:
    """Sort keys[:count] by merging ever longer runs."""
    for begin in range(0, count, _RUN):
        for i in range(begin + 1, min(begin + _RUN, count)):
            key, j = keys[i], i
            while j > begin and keys[j - 1] > key:
                keys[j] = keys[j - 1]
                j -= 1
            keys[j] = key
    width = _RUN
    while width < count:
        for begin in range(0, count - width, 2 * width):
            middle, end = begin + width, min(begin + 2 * width, count)
            for i in range(begin, middle):
                spare[i] = keys[i]
            i, j = begin, middle
            for k in range(begin, end):
                if i == middle:
                    break
                if j == end or spare[i] < keys[j]:
                    keys[k] = spare[i]
                    i += 1
                else:
                    keys[k] = keys[j]
                    j += 1
        width *= 2


@inlined
def _pieces(quantity: Any, price: Any, pieces: Any, spare: Any) -> int:
    """Lay out the segments that are not empty as pieces [3, R] in the order of their keys; return their number."""
    keys, owners, amounts = pieces
    segments, count = len(quantity), 0
    bits = _bits(segments)
    for segment in range(segments):
        if quantity[segment] > 0:
            keys[count] = segment - (price[segment] << bits)
            count += 1
    _sort(keys, spare, count)
    for i in range(count):
        owners[i] = keys[i] & ((1 << bits) - 1)
        amounts[i] = quantity[owners[i]]
    return count


@inlined
def _put(pieces: Any, place: int, key: int, owner: int, amount: int) -> int:
    """Write a piece unless it is empty; return the next place."""
    if amount <= 0:
        return place
    keys, owners, amounts = pieces
    keys[place], owners[place], amounts[place] = key, owner, amount
    return place + 1


@inlined
def _merge(pieces: Any, count: int, shifted: Any, ends: Any) -> int:
    """Merge two sorted runs of shifted pieces, shifted[: ends[0]] and shifted[ends[0] : ends[1]], into the pieces."""
    keys, owners, amounts = pieces
    others, owned_by, parts = shifted
    i, j, k = count - 1, ends[0] - 1, ends[1] - 1
    place = count + ends[1] - 1
    while j >= 0 or k >= ends[0]:  # from the back, where there is room
        source = j if k < ends[0] or (j >= 0 and others[j] > others[k]) else k
        if i >= 0 and keys[i] > others[source]:
            keys[place], owners[place], amounts[place] = keys[i], owners[i], amounts[i]
            i -= 1
        else:
            keys[place], owners[place], amounts[place] = others[source], owned_by[source], parts[source]
            if source == j:
                j -= 1
            else:
                k -= 1
        place -= 1
    return count + ends[1]  # type: ignore[no-any-return]


@inlined
def _pass_element(pieces: Any, count: int, shifted: Any, places: Any, terms: Any, edge: Any) -> int:
    """Shift the prices behind an element as its limit demands; return how many pieces there are then.

    `places` are the houses of segments and which houses are behind it; `terms` are the energy behind it without any
    piece, its limit and the shift of a key by the price of exceeding it. `edge` gets the prices of the first piece
    left out and of the last one served at +limit, then at -limit.
    """
    (keys, owners, amounts), (house, members) = pieces, places
    flow, limit, shift = terms
    edge[0], edge[1], edge[2], edge[3] = -FAR, FAR, -FAR, FAR
    most = flow
    for i in range(count):
        most += amounts[i] * members[house[owners[i]]]
    if -limit <= flow and most <= limit:
        return count
    bits = _bits(len(house))
    kept, raised, moved = 0, 0, 0
    for i in range(count):
        key, owner, amount = keys[i], owners[i], amounts[i]
        if not members[house[owner]]:
            kept = _put(pieces, kept, key, owner, amount)
            continue
        end, price = flow + amount, -(key >> bits)
        for side, at in enumerate((limit, -limit)):
            if flow < at:
                edge[2 * side + 1] = price
            if end > at and edge[2 * side] == -FAR:
                edge[2 * side] = price
        below, above = max(min(end, -limit) - flow, 0), max(end - max(flow, limit), 0)
        kept = _put(pieces, kept, key, owner, amount - below - above)
        raised = _put(shifted, moved, key - shift, owner, below) if below > 0 else raised
        moved = _put(shifted, max(raised, moved), key + shift, owner, above)
        flow = end
    return _merge(pieces, kept, shifted, (raised, moved))  # type: ignore[no-any-return]


@inlined
def _balance(pieces: Any, count: int, bits: int, position: int, curve: Any, accepted: Any) -> int:
    """Serve the pieces that are worth more than what the BRP supplies; return the balance price of the book."""
    keys, owners, amounts = pieces
    brp_price, brp_quantity, brp_start = curve
    steps, end, energy = len(brp_price), position, position
    for i in range(count):
        price, below, supply = -(keys[i] >> bits), 0, brp_start
        while below < steps and brp_price[below] < price:
            supply += brp_quantity[below]
            below += 1
        supply = -FAR if below == 0 else FAR if below == steps else supply
        taken = min(max(supply - end, 0), amounts[i])
        accepted[owners[i]] += taken
        energy += taken
        end += amounts[i]
    low, high, end = -FAR, FAR, position
    for i in range(count):
        price = -(keys[i] >> bits)
        if end < energy:
            high = price
        end += amounts[i]
        if end > energy:
            low = price
            break
    reached, passed, step = 0, 0, brp_start
    for i in range(steps - 1):
        step += brp_quantity[i]
        reached += int(step < energy)
        passed += int(step <= energy)
    return (max(low, brp_price[reached]) + min(high, brp_price[passed])) >> 1  # type: ignore[no-any-return]


@inlined
def _read_back(flow: Any, members: Any, limits: Any, cap: int, edges: Any, price: Any) -> None:
    """Turn the balance price at every house into the price there, from the root to the leaves."""
    for element in range(len(limits) - 1, -1, -1):
        through, first, limit = 0, -1, limits[element]
        for house in range(len(flow) - 1, -1, -1):
            if members[element, house]:
                through, first = through + flow[house], house
        outside = price[first]  # any house behind: they still agree
        least = outside + cap * (int(through > limit) - int(through <= -limit))
        most = outside + cap * (int(through >= limit) - int(through < -limit))
        side = 4 * element + 2 * int(through < limit)
        inside = min(max(min(max(outside, edges[side]), edges[side + 1]), least), most)
        for house in range(len(flow)):
            if members[element, house]:
                price[house] = inside


@inlined
def _clear(row: int, book: Any, award: Any, scratch: Any) -> None:
    """Clear one book; `book` and `award` are the fields of Orders and Award, `scratch` its own memory."""
    quantity, price, house, fixed, position, brp_price, brp_quantity, brp_start, limit, members, cap = book
    accepted, balance_price, grid_price = award
    (elements, houses), segments = members.shape, len(house)
    room = segments + 2 * elements
    part = scratch[: 6 * room].reshape(6, room)
    pieces, shifted = (part[0], part[1], part[2]), (part[3], part[4], part[5])
    edges = scratch[6 * room : 6 * room + 4 * elements]
    flow = scratch[6 * room + 4 * elements :]
    count, bits = _pieces(quantity[row], price[row], pieces, part[3]), _bits(segments)
    for element in range(elements):
        behind = 0
        for place in range(houses):
            behind += fixed[row, place] * members[element, place]
        terms = behind, limit[row, element], cap[row] << bits
        edge = edges[4 * element : 4 * element + 4]
        count = _pass_element(pieces, count, shifted, (house, members[element]), terms, edge)
    accepted[row, :] = 0
    curve = brp_price[row], brp_quantity[row], brp_start[row]
    balance = _balance(pieces, count, bits, position[row], curve, accepted[row])
    for place in range(houses):
        flow[place], grid_price[row, place] = fixed[row, place], balance
    for segment in range(segments):
        flow[house[segment]] += accepted[row, segment]
    _read_back(flow, members, limit[row], cap[row], edges, grid_price[row])
    for place in range(houses):
        grid_price[row, place] -= balance
    balance_price[row] = balance


def _clear_rows(rows: Any, book: Any, award: Any, scratch: Any, numbers: Any) -> None:
    for row in range(rows[0], rows[1], rows[2]):
        _clear(row, book, award, scratch[row % len(scratch)])


clear = kernel(_clear_rows)
"""Fill the fields of an Award from those of Orders, in their order, with `scratch_numbers` of scratch for a row."""
