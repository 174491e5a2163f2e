"""Migrations stand in the dossier: each script once, and how its intent ended."""

from datetime import UTC, datetime

from rules.dossier_changes import change_rows, return_rows
from rules.records import Event, EventKind, Record, chain

AT = datetime(2026, 11, 23, tzinfo=UTC)
SCRIPTS = {"version": "3f2a1bc", "scripts": ["V2__a.sql", "V3__b.sql"], "safe": []}


def run(*kinds: EventKind) -> list[Record]:
    records: list[Record] = []
    for kind in kinds:
        details = SCRIPTS if kind is EventKind.MIGRATIONS_INTENT else {}
        event = Event("run", "plan", "staging", kind, f"{kind}.", details)
        records.append(chain(records[-1] if records else None, event, AT))
    return records


def test_each_script_is_told_with_its_end() -> None:
    rows = change_rows(run(EventKind.MIGRATIONS_INTENT, EventKind.MIGRATIONS_APPLIED))
    assert [(it["what"], it["name"], it["end"]) for it in rows] == [
        ("migration", "V2__a.sql", "applied"),
        ("migration", "V3__b.sql", "applied"),
    ]


def test_what_was_begun_and_not_ended_is_loud() -> None:
    told = run(EventKind.MIGRATIONS_INTENT)
    assert {it["end"] for it in change_rows(told)} == {"NOT FINISHED by this run"}
    assert [it["what"] for it in return_rows(told)] == ["LEFT OPEN by this run"]


def test_a_second_intent_is_the_same_script() -> None:
    twice = (EventKind.MIGRATIONS_INTENT, EventKind.MIGRATIONS_INTENT, EventKind.MIGRATIONS_PUT_BACK)
    rows = change_rows(run(*twice))
    assert [it["name"] for it in rows] == ["V2__a.sql", "V3__b.sql"]
    assert {it["end"] for it in rows} == {"put back"}
