"""The way back: to the newest version that we did not write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.configuration_intents import (
    ConfigurationIntent,
    IntentItem,
    Return,
    WayBack,
    digest_of,
    merge_intents,
    tags_back,
    versions_left,
    way_back,
)
from rules.errors import InvalidInput
from rules.parameters import Parameter

OURS = {("dev", 3): "new", ("dev", 4): "newer"}


def origin(environment: str, version: int) -> Parameter | None:
    text = OURS.get((environment, version))
    return Parameter("k", text, version=version) if text else None


def history(*texts: str, first: int = 1) -> dict[int, Parameter]:
    return {n: Parameter("k", text, version=n) for n, text in enumerate(texts, start=first)}


def item(before: int | None, *origins: int) -> IntentItem:
    return IntentItem("k", before, tuple(("dev", version) for version in origins or (3,)))


@pytest.mark.parametrize(
    ("it", "versions", "step"),
    [
        pytest.param(item(None), {}, Return.NOTHING, id="an add that never happened"),
        pytest.param(item(None), history("new"), Return.DELETE, id="an add"),
        pytest.param(item(None), history("new", "new"), Return.DELETE, id="an add that arrived twice"),
        pytest.param(item(None), history("theirs"), Return.NOTHING, id="somebody else added it"),
        pytest.param(item(None), history("new", "theirs"), Return.STUCK, id="somebody else wrote onto our add"),
        pytest.param(item(2), history("a", "b"), Return.NOTHING, id="a change that never happened"),
        pytest.param(item(2), history("a", "b", "new"), Return.RESTORE, id="a change"),
        pytest.param(item(2), history("a", "b", "new", "new"), Return.RESTORE, id="a change that arrived twice"),
        pytest.param(item(2), history("a", "b", "new", "b"), Return.NOTHING, id="already put back"),
        pytest.param(item(2), history("a", "b", "theirs"), Return.NOTHING, id="somebody else wrote, we did not"),
        pytest.param(item(2), history("a", "b", "new", "theirs"), Return.STUCK, id="somebody else wrote onto ours"),
        pytest.param(item(2), {}, Return.STUCK, id="somebody deleted it"),
        pytest.param(item(2, 3, 4), history("a", "b", "new", "newer"), Return.RESTORE, id="two applies"),
        pytest.param(item(2), history("new", first=103), Return.STUCK, id="AWS forgot the former version"),
    ],
)
def test_the_way_back_follows_from_the_history(it: IntentItem, versions: dict[int, Parameter], step: Return) -> None:
    assert way_back(it, versions, origin).step is step


def test_going_back_never_loses_what_somebody_else_wrote_between_two_applies() -> None:
    way = way_back(item(1, 3, 4), history("a", "theirs", "newer"), origin)

    assert way.step is Return.RESTORE
    assert way.former is not None
    assert way.former.text == "theirs"


def test_a_mapped_value_is_known_by_its_hash() -> None:
    it = IntentItem("k", 1, digests=(digest_of("mapped"),))

    assert way_back(it, history("a", "mapped"), origin).step is Return.RESTORE
    assert way_back(it, history("a", "else"), origin) == WayBack(Return.NOTHING, 2)


def test_a_raised_tier_stays_and_going_back_twice_is_going_back_once() -> None:
    versions = {1: Parameter("k", "a", version=1), 2: Parameter("k", "new", version=2, tier="Advanced")}
    way = way_back(item(1), versions, origin)

    assert way.former is not None
    assert (way.former.text, way.former.tier) == ("a", "Advanced")
    versions[3] = Parameter("k", "a", version=3, tier="Advanced")
    assert way_back(item(1), versions, origin).step is Return.NOTHING


@given(st.lists(st.sampled_from(["x", "y", "new", "newer"]), min_size=1, max_size=8), st.booleans())
def test_going_back_is_idempotent_and_never_leaves_our_value(texts: list[str], exists: bool) -> None:
    start = ("old",) if exists else ()
    it = item(1 if exists else None, 3, 4)
    versions = history(*start, *texts)
    way = way_back(it, versions, origin)

    if way.step is Return.RESTORE:
        assert way.former is not None
        number = max(versions) + 1
        versions[number] = Parameter("k", way.former.text, version=number)
        assert way.former.text in {"old", "x", "y"}
        assert way_back(it, versions, origin).step is Return.NOTHING
    elif way.step is Return.NOTHING:
        assert versions[max(versions)].text in {"old", "x", "y"}
    elif way.step is Return.DELETE:
        assert not exists
        assert set(texts) <= {"new", "newer"}


def test_tags_that_we_wrote_go_back_and_others_stay() -> None:
    it = IntentItem("k", 1, tags={"a": ("old", "new"), "b": (None, "new"), "c": ("old", "new"), "d": (None, "new")})

    assert tags_back(it, {"a": "new", "b": "new", "c": "theirs", "e": "x"}) == ({"a": "old"}, ("b",))


def intent(*items: IntentItem, target: str = "staging") -> ConfigurationIntent:
    return ConfigurationIntent(target, f"/shop/{target}/", items)


def test_an_intent_survives_being_recorded() -> None:
    it = intent(IntentItem("k", None, (("dev", 3),), ("ab",), {"t": (None, "x")}), item(5))

    assert ConfigurationIntent.from_details(json.loads(json.dumps(it.to_details()))) == it


def test_an_intent_that_is_none_is_named() -> None:
    with pytest.raises(InvalidInput, match="a recorded configuration intent"):
        ConfigurationIntent.from_details({"target": "staging"})


def test_merged_intents_go_back_to_before_the_first() -> None:
    first = intent(IntentItem("k", 5, (("dev", 3),), tags={"t": ("a", "b")}), IntentItem("only first", 1))
    second = intent(
        IntentItem("k", 6, (("dev", 4),), tags={"t": ("b", "c"), "u": (None, "x")}), IntentItem("only second", 2)
    )
    merged = {it.key: it for it in merge_intents(first, second).items}

    assert list(merged) == ["k", "only first", "only second"]
    assert merged["k"].before == 5
    assert merged["k"].origins == (("dev", 3), ("dev", 4))
    assert merged["k"].tags == {"t": ("a", "c"), "u": (None, "x")}


def test_intents_of_two_environments_do_not_merge() -> None:
    with pytest.raises(InvalidInput, match="the target of the later intent"):
        merge_intents(intent(), intent(target="production"))


def test_the_versions_left_are_those_of_the_last_record_of_each_key() -> None:
    records = [{"versions": {"a": 1, "b": 1}}, {"versions": {"a": 2, "b": None}}, {}]

    assert versions_left(records) == {"a": 2}
