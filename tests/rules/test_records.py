import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from rules.errors import InvalidInput
from rules.records import (
    START,
    Event,
    EventKind,
    Head,
    Record,
    chain,
    is_sealed,
    narrate,
    open_intents,
    read,
)
from rules.vocabulary import Finding, Verdict

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def event(kind: EventKind, run: str = "run-1", environment: str = "staging", **details: Any) -> Event:
    return Event(run, "0123456789abcdef", environment, kind, kind.value.replace("_", " ").capitalize() + ".", details)


def chained(*events: Event) -> list[Record]:
    records: list[Record] = []
    for number, one in enumerate(events):
        records.append(chain(records[-1] if records else None, one, NOON + timedelta(seconds=number)))
    return records


def test_the_first_record_follows_nothing() -> None:
    [first] = chained(event(EventKind.STARTED))
    assert (first.seq, first.previous) == (1, START)


def test_each_record_carries_the_hash_of_the_one_before() -> None:
    one, two = chained(event(EventKind.STARTED), event(EventKind.PLAN))
    assert (two.seq, two.previous) == (2, one.hash)


def test_a_chain_goes_on_from_its_head() -> None:
    one, two = chained(event(EventKind.STARTED), event(EventKind.PLAN))
    assert chain(Head(one.seq, one.hash), two.event, two.at) == two


def test_the_same_event_at_another_time_has_another_hash() -> None:
    one = chain(None, event(EventKind.STARTED), NOON)
    other = chain(None, event(EventKind.STARTED), NOON + timedelta(microseconds=1))
    assert one.hash != other.hash


def test_times_are_kept_in_utc() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=2)))
    assert chain(None, event(EventKind.STARTED), local).line == chain(None, event(EventKind.STARTED), NOON).line


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a time with its zone"):
        chain(None, event(EventKind.STARTED), datetime(2026, 11, 22, 12))  # noqa: DTZ001  # the case itself


def test_a_line_is_ascii_and_has_no_end_within_it() -> None:
    [record] = chained(event(EventKind.PLAN, text="Zürich\n\u2028\x85\ud800"))
    assert record.line.isascii()
    assert len(record.line.splitlines()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), json_values, max_size=4),
    st.text(max_size=20),
    st.sampled_from(EventKind),
    st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)),  # noqa: DTZ001  # hypothesis adds the zone
)
def test_what_was_recorded_is_read_back(details: dict[str, Any], sentence: str, kind: EventKind, at: datetime) -> None:
    record = chain(None, Event("run", "", "dev", kind, sentence, details), at)
    assert read(record.line) == record
    assert is_sealed(read(record.line))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=30) | json_values.map(json.dumps))
def test_what_is_not_a_record_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="a record as canonical JSON"):
        read(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seq", "1"),
        ("seq", True),
        ("seq", 1.0),
        ("at", "noon"),
        ("at", "2026-11-22T12:00:00.000000"),
        ("at", 7),
        ("kind", "hoped"),
        ("details", []),
        ("details", None),
        ("sentence", None),
        ("hash", None),
        ("more", 1),
    ],
)
def test_a_record_with_a_wrong_field_is_refused(key: str, value: object) -> None:
    data = json.loads(chained(event(EventKind.STARTED))[0].line)
    line = json.dumps({**data, key: value}, sort_keys=True, separators=(",", ":"))
    if (key, value) == ("hash", None):
        assert not is_sealed(read(line))
    else:
        with pytest.raises(InvalidInput):
            read(line)


class ClientSecret(str):
    __slots__ = ()


@dataclass
class Login:
    user: str
    password: SecretStr


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"token": SecretStr("hunter2")}, id="secret text"),
        pytest.param({"token": SecretBytes(b"hunter2")}, id="secret bytes"),
        pytest.param({"deep": [{"er": (SecretStr("hunter2"),)}]}, id="deep"),
        pytest.param({"login": Login("ann", SecretStr("hunter2"))}, id="within a dataclass"),
        pytest.param({"token": ClientSecret("hunter2")}, id="a text type that is called secret"),
        pytest.param({ClientSecret("hunter2"): 1}, id="as a key"),
        pytest.param({"token": b"hunter2"}, id="bytes"),
    ],
)
def test_a_secret_never_enters_a_record_nor_the_message(details: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Event("run", "", "dev", EventKind.PLAN, "Planned.", details)
    assert "hunter2" not in str(caught.value)


def test_the_message_about_a_secret_says_where_it_stood() -> None:
    with pytest.raises(InvalidInput, match=r"details\.login\.password is 'a SecretStr'"):
        Event("run", "", "dev", EventKind.PLAN, "Planned.", {"login": Login("ann", SecretStr("x"))})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, Path("/")])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"details\.value"):
        event(EventKind.PLAN, value=value)


def test_findings_and_times_become_plain_json() -> None:
    finding = Finding("stability", Verdict.FAILED, "Gateway ran for 30 minutes.", "30 min", "120 min")
    details = event(EventKind.FINDINGS, findings=(finding,), at=NOON).details
    assert details["findings"][0]["verdict"] == "failed"
    assert details["at"] == "2026-11-22T12:00:00+00:00"


def test_an_event_does_not_change_when_its_source_does() -> None:
    source = {"services": ["gateway"]}
    recorded = Event("run", "", "dev", EventKind.PLAN, "Planned.", source)
    source["services"].append("other")
    assert recorded.details == {"services": ["gateway"]}


def test_an_intent_without_an_end_is_what_a_dead_run_left() -> None:
    records = chained(
        event(EventKind.CONFIGURATION_INTENT),
        event(EventKind.CONFIGURATION_APPLIED),
        event(EventKind.ROLLOUT_INTENT, service="gateway"),
        event(EventKind.ROLLOUT_INTENT, service="event-management"),
        event(EventKind.ROLLOUT_STARTED, service="event-management"),
        event(EventKind.ROLLOUT_SUCCEEDED, service="gateway"),
    )
    assert [record.event.details["service"] for record in open_intents(records, "staging")] == ["event-management"]


def test_an_intent_of_another_environment_is_not_ours() -> None:
    assert open_intents(chained(event(EventKind.FLAGS_INTENT, environment="production")), "staging") == ()


def test_a_later_run_that_finished_the_work_closes_the_intent() -> None:
    records = chained(event(EventKind.FLAGS_INTENT, run="dead"), event(EventKind.FLAGS_APPLIED, run="next"))
    assert open_intents(records, "staging") == ()


@pytest.mark.parametrize("end", [EventKind.COMPLETED, EventKind.PUT_BACK])
def test_a_run_that_ended_well_leaves_nothing_open_of_its_own(end: EventKind) -> None:
    records = chained(
        event(EventKind.FLAGS_INTENT, run="other"), event(EventKind.FLAGS_INTENT, run="mine"), event(end, run="mine")
    )
    assert [record.event.run_id for record in open_intents(records, "staging")] == ["other"]


@pytest.mark.parametrize("end", [EventKind.FAILED, EventKind.PUT_BACK_FAILED, EventKind.CANCELLED])
def test_a_run_that_ended_badly_leaves_its_intents_open(end: EventKind) -> None:
    records = chained(event(EventKind.ROLLOUT_INTENT, service="gateway"), event(end))
    assert len(open_intents(records, "staging")) == 1


def test_the_same_intent_taken_again_and_finished_is_closed_once_for_all() -> None:
    records = chained(
        event(EventKind.CONFIGURATION_INTENT, run="dead"),
        event(EventKind.CONFIGURATION_INTENT, run="next"),
        event(EventKind.CONFIGURATION_PUT_BACK, run="next"),
    )
    assert open_intents(records, "staging") == ()


def test_records_read_as_a_story_run_by_run() -> None:
    records = chained(
        event(EventKind.STARTED),
        event(EventKind.STARTED, run="run-2"),
        event(EventKind.FLAGS_INTENT),
        event(EventKind.REFUSED, run="run-2"),
    )
    assert narrate(records) == [
        "2026-11-22 12:00:00 UTC, run run-1, plan 0123456789ab",
        "  +  0:00  staging  Started.",
        "  +  0:02  staging  Flags intent.",
        "           staging  LEFT OPEN: Flags intent.",
        "2026-11-22 12:00:01 UTC, run run-2, plan 0123456789ab",
        "  +  0:00  staging  Started.",
        "  +  0:02  staging  Refused.",
    ]


def test_nothing_recorded_is_no_story() -> None:
    assert narrate([]) == []
