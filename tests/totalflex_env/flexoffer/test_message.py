"""Messages: every field there and back under both signs and in both dialects, other names, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from totalflex_env.errors import DataError
from totalflex_env.flexoffer.message import FlexOfferMessage, Sign, read, write
from totalflex_env.flexoffer.message_names import Dialect

MINIMAL: dict[str, Any] = {
    "id": "17",
    "state": "offered",
    "creationTime": "2024-01-22T05:00:00Z",
    "offeredById": "1023",
    "startBeforeTime": "2024-01-22T22:00:00Z",
    "flexOfferProfileConstraints": [{"energyConstraintList": [{"lower": -2.5, "upper": 4.0}]}],
}
SCHEDULE = {
    "scheduleId": 3,
    "updateId": 1,
    "startTime": "2024-01-22T10:00:00Z",
    "numSecondsPerInterval": 900,
    "scheduleSlices": [{"duration": 2, "energyAmount": -1.5, "price": 0.2}],
}
SLICE = MINIMAL["flexOfferProfileConstraints"][0]

# Each field of the message with a value other than the default one.
FIELDS: dict[str, Any] = {
    "id": "4188a132-a937-4639-96cf-d8529fa78b86",
    "state": "assigned",
    "stateReason": "initial offer",
    "creationTime": "2024-01-21T05:07:30Z",
    "offeredById": "harry@80060B5E",
    "locationID": {"userLocation": {"longitude": 9.990595, "latitude": 57.012293}},
    "label": "a boiler",
    "internalId": "14561741",
    "assignment": "obligatory",
    "correct": True,
    "acceptBeforeTime": "2024-01-22T07:45:00Z",
    "assignmentBeforeTime": "2024-01-22T08:45:00Z",
    "assignmentBeforeStart": 3600,
    "startAfterTime": "2024-01-22T10:07:00Z",
    "startBeforeTime": "2024-01-22T21:30:00Z",
    "endAfterTime": "2024-01-22T11:00:00Z",
    "endBeforeTime": "2024-01-22T23:00:00Z",
    "numSecondsPerInterval": 3600,
    "flexOfferProfileConstraints": [
        SLICE,
        {"minDuration": 2, "maxDuration": 2, "energyConstraintList": [{"lower": 1.0, "upper": 1.5}]},
        {"minDuration": 2, "maxDuration": 2, "energyConstraintList": [{"lower": -1.0, "upper": 1.5}] * 2},
        {**SLICE, "priceConstraint": {"minPrice": 0.03, "maxPrice": 0.15}},
    ],
    "DependencyEnergyConstraintList": [[0.0, 1.0, 5.0], [-1.0, -1.0, 6.64], [1.0, 1.0, 7.14]],
    "totalEnergyConstraint": {"lower": -1.0, "upper": 2.0},
    "subTotalEnergyConstraint": {"lower": -7.0, "upper": 3.0},
    "powerFactorConstraint": {"lower": 0.9, "upper": 1.0},
    "totalCostConstraint": {"lower": 0.0, "upper": 12.5},
    "flexOfferPriceConstraints": {
        "startTime": "2024-01-22T00:00:00Z",
        "priceSlices": [{"duration": 6, "priceConstraint": {"minPrice": 0.03, "maxPrice": 0.15}}],
    },
    "defaultSchedule": SCHEDULE,
    "flexOfferSchedule": {**SCHEDULE, "updateId": 2},
    "flexOfferProfilType": "activeEnergy",
    "unit": "Wh",
    "multiplier": "1",
}
NOT_IN_AAU = ("DependencyEnergyConstraintList", "totalEnergyConstraint", "subTotalEnergyConstraint")


def with_field(name: str, value: Any) -> dict[str, Any]:
    if name == "DependencyEnergyConstraintList":
        return {**MINIMAL, "flexOfferProfileConstraints": [{**SLICE, name: value}]}
    return {**MINIMAL, name: value}


def one(offer: dict[str, Any], sign: Sign = Sign.CONSUMPTION) -> FlexOfferMessage:
    return read(json.dumps(offer), sign)[0]


def contained(part: Any, whole: Any) -> bool:
    """Whether all that `part` says is in `whole`, which may say more; times may be written another way."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contained(part[name], whole[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) == len(whole) and all(map(contained, part, whole))
    if isinstance(part, float) and not isinstance(part, bool):
        return bool(part == pytest.approx(whole, rel=1e-12))
    if isinstance(part, str) and part.startswith("2024-"):
        return datetime.fromisoformat(part) == datetime.fromisoformat(whole)
    return bool(part == whole)


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("name", FIELDS)
def test_every_field_comes_back(name: str, sign: Sign) -> None:
    offer = with_field(name, FIELDS[name])
    message = one(offer, sign)
    assert message != one(MINIMAL, sign) or FIELDS[name] in ("activeEnergy", "Wh")
    text = write([message], sign)
    assert contained(offer, json.loads(text)["flexOffer"][0])
    assert read(write(read(text, sign), sign), sign) == read(text, sign)


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("name", [name for name in FIELDS if name not in NOT_IN_AAU])
def test_every_field_comes_back_from_the_other_dialect(name: str, sign: Sign) -> None:
    message = one(with_field(name, FIELDS[name]), sign)
    back = read(write([message], sign, Dialect.AAU), sign)[0]
    assert contained(message.model_dump(mode="json"), back.model_dump(mode="json"))


def test_the_fields_are_all_of_them() -> None:
    there = {field.alias for field in FlexOfferMessage.model_fields.values()}
    assert there == {"locationId" if name == "locationID" else name for name in FIELDS} - {NOT_IN_AAU[0]}


def test_signs_mirror_each_other() -> None:
    """What one sender calls -2.5 to 4, another calls -4 to 2.5."""
    offer = {**with_field("DependencyEnergyConstraintList", [[1.0, 1.0, 3.0]]), "defaultSchedule": SCHEDULE}
    mine, theirs = one(offer, Sign.CONSUMPTION), one(offer, Sign.PRODUCTION)
    slices = [message.flex_offer_profile_constraints[0] for message in (mine, theirs)]
    assert [(one_.energy_constraint_list[0].lower, one_.energy_constraint_list[0].upper) for one_ in slices] == [
        (-2.5, 4.0),
        (-4.0, 2.5),
    ]
    assert [one_.dependency_energy_constraint_list for one_ in slices] == [[(1.0, 1.0, 3.0)], [(-1.0, -1.0, 3.0)]]
    assert [m.default_schedule and m.default_schedule.schedule_slices[0].energy_amount for m in (mine, theirs)] == [
        -1.5,
        1.5,
    ]
    assert contained(offer, json.loads(write([mine], Sign.CONSUMPTION))["flexOffer"][0])
    assert contained(offer, json.loads(write([theirs], Sign.PRODUCTION))["flexOffer"][0])


def test_energies_are_kwh_inside_whatever_the_multiplier() -> None:
    for multiplier, energy in (("1", 4.0e-3), ("k", 4.0), ("M", 4.0e3)):
        message = one({**MINIMAL, "multiplier": multiplier})
        assert message.flex_offer_profile_constraints[0].energy_constraint_list[0].upper == pytest.approx(energy)


def test_the_names_of_the_manager_are_read() -> None:
    message = one(
        {
            "id": "1",
            "state": "Offered",
            "creationInterval": 1726911,
            "offeredById": "1",
            "acceptanceBeforeInterval": 1726912,
            "acceptanceBeforeTime": "2019-04-02T16:00:00.000+0000",
            "startAfterInterval": 1726912,
            "startBeforeInterval": 1726920,
            "flexOfferProfileConstraints": [
                {
                    "energyConstraintList": [{"lowerBound": "0", "upperBound": "5.5"}],
                    "tariffConstraint": {"minTariff": 0.03, "maxTariff": 0.15},
                }
            ],
            "flexOfferTariffConstraint": {"startTime": "2019-04-02T00:00:00.000+0000", "tariffSlices": []},
            "totalEnergyConstraint": [{"lower": [1], "upper": [2]}],
        }
    )
    slice_ = message.flex_offer_profile_constraints[0]
    assert (slice_.energy_constraint_list[0].upper, slice_.price_constraint and slice_.price_constraint.max_price) == (
        5.5,
        0.15,
    )
    assert message.creation_time == datetime(2019, 4, 2, 15, 45, tzinfo=UTC)
    assert message.start_before_time == datetime(2019, 4, 2, 18, tzinfo=UTC)
    assert message.total_energy_constraint and message.total_energy_constraint.upper == 2.0
    raw = json.loads(
        write([message.model_copy(update={"total_energy_constraint": None})], Sign.CONSUMPTION, Dialect.AAU)
    )
    offer = raw["flexOffer"][0]
    assert (offer["state"], offer["startBeforeInterval"], offer["acceptanceBeforeInterval"]) == (
        "Offered",
        1726920,
        1726912,
    )
    for constraint in NOT_IN_AAU[1:]:
        more = one({**MINIMAL, constraint: {"lower": 1, "upper": 2}})
        with pytest.raises(DataError, match=constraint):
            write([more], Sign.CONSUMPTION, Dialect.AAU)


def test_one_offer_a_list_and_an_envelope_are_the_same() -> None:
    alone = one(MINIMAL)
    for envelope in ([MINIMAL], {"flexOffer": MINIMAL}, {"flexOffer": [MINIMAL]}):
        assert read(json.dumps(envelope).encode(), Sign.CONSUMPTION) == [alone]
    assert read("[]", Sign.CONSUMPTION) == []


def bounds(lower: Any, upper: Any) -> dict[str, Any]:
    return {"flexOfferProfileConstraints": [{"energyConstraintList": [{"lowerBound": lower, "upperBound": upper}]}]}


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        (bounds(-5.1, -16.89), "flexOfferProfileConstraints.0.energyConstraintList.0", "not above the upper bound"),
        (bounds(0, "a lot"), "upper", "number"),
        (bounds(0, True), "upper", "truth"),
        (bounds(0, "inf"), "upper", "finite"),
        ({"totalEnergyConstraint": {"lower": 2, "upper": 1}}, "totalEnergyConstraint", "not above"),
        ({"startBeforeTime": "2024-01-22T22:00:00"}, "startBeforeTime", "timezone"),
        ({"startBeforeTime": 1726920}, "startBeforeTime", "ISO 8601"),
        ({"startBeforeTime": None}, "startBeforeTime", "ISO 8601"),
        ({"startAfterInterval": 1.5}, "startAfterInterval", "an interval number"),
        ({"startBeforeInterval": 1726920}, "startBeforeInterval", "the interval of startBeforeTime"),
        ({"state": "Adaptation"}, "state", "'initial'"),
        ({"unit": "VAh"}, "unit", "'Wh'"),
        ({"flexOfferProfilType": "voltage"}, "flexOfferProfilType", "'activeEnergy'"),
        ({"uncertainThreshold": 0.9}, "uncertainThreshold", "not permitted"),
        ({"acceptBeforeTime": "2024-01-22T07:45:00Z", "acceptanceBeforeTime": "x"}, "acceptanceBeforeTime", "not two"),
        ({"flexOfferProfileConstraints": [{**SLICE, "minDuration": 1, "maxDuration": 2}]}, "0", "equals maxDuration"),
        ({"flexOfferProfileConstraints": [{"energyConstraintList": [{"lower": 0, "upper": 1}] * 3}]}, "0", "one range"),
        ({"numSecondsPerInterval": 0}, "numSecondsPerInterval", "greater than or equal to 1"),
    ],
)
def test_a_bad_message_is_one_error_with_its_field(change: dict[str, Any], field: str, expected: str) -> None:
    with pytest.raises(DataError) as error:
        one({**MINIMAL, **change})
    _, where, value, what = error.value.args
    assert where.startswith("flexOffer.0") and field in where
    assert expected in what
    assert value is not None or change["startBeforeTime"] is None
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "NaN", '{"flexOffer": [3]}', b"\xff\xfe", '{"id": "1"}'])
def test_what_is_no_message_is_one_error(text: str | bytes) -> None:
    with pytest.raises(DataError, match="flex-offer message: "):
        read(text, Sign.CONSUMPTION)


def test_a_state_that_the_manager_does_not_know_is_not_sent_to_it() -> None:
    with pytest.raises(DataError, match="canceled"):
        write([one({**MINIMAL, "state": "canceled"})], Sign.CONSUMPTION, Dialect.AAU)
