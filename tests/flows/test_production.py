"""The gates that only production has, with an application of which only the ledger and the catalogue matter."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rules.errors import Ended, PromotionError
from rules.production_policies import EmergencyPolicy, Freeze, Terms, Weekday, Window, WindowPolicy
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Verdict
from tasks.production import check_time_left, check_twins, refuse_what_ended

ALWAYS = Window(tuple(Weekday), "00:00", "24:00", "UTC")
DEADLINE = datetime(2026, 11, 23, 12, tzinfo=UTC)


def story(run_id: str, *kinds: EventKind) -> list[Record]:
    records: list[Record] = []
    details = {"key": "approval-1", "deadline": DEADLINE.isoformat(), "awaited": ["anna"]}
    for kind in kinds:
        event = Event(run_id, "p1", "production", kind, f"{kind}.", details)
        records.append(chain(records[-1] if records else None, event, DEADLINE - timedelta(hours=1)))
    return records


def promotion_with(records: list[Record], windows: WindowPolicy | None = None, start_at: str = "") -> Any:
    def of_run(run_id: str | None = None) -> list[Record]:
        return [it for it in records if run_id in {None, it.event.run_id}]

    return SimpleNamespace(
        run_id="mine",
        application=SimpleNamespace(ledger=SimpleNamespace(records=of_run)),
        catalogue=SimpleNamespace(windows=windows or WindowPolicy((ALWAYS,)), emergency=EmergencyPolicy()),
        terms=Terms("anna", start_at=start_at),
        emergency=None,
        services=(),
    )


def test_a_snapshot_that_outlasts_the_promised_minutes_does_not_put_everything_back() -> None:
    long_ago = (datetime.now(UTC) - timedelta(minutes=40)).isoformat(timespec="seconds")
    check_time_left.fn(promotion_with([], start_at=long_ago))


def test_a_freeze_that_began_meanwhile_stops_it_before_traffic_moves() -> None:
    today = datetime.now(UTC)
    freeze = Freeze(f"{today - timedelta(days=1):%Y-%m-%d}", f"{today + timedelta(days=1):%Y-%m-%d}", "Audit", "Reto")
    with pytest.raises(PromotionError, match="frozen"):
        check_time_left.fn(promotion_with([], WindowPolicy((ALWAYS,), (freeze,))))


def test_a_run_that_was_cancelled_while_it_waited_is_nobodys_twin() -> None:
    gone = story("gone", EventKind.STARTED, EventKind.APPROVAL_ASKED)  # such an id no Prefect server knows
    plan: Any = SimpleNamespace(target="production", hash="p1")
    [finding] = check_twins.fn(promotion_with(gone), plan)
    assert finding.verdict is Verdict.PASSED


@pytest.mark.parametrize("kind", [EventKind.REFUSED, EventKind.PUT_BACK, EventKind.CANCELLED, EventKind.COMPLETED])
def test_a_run_that_has_ended_does_not_begin_again(kind: EventKind) -> None:
    with pytest.raises(Ended, match=kind.replace("_", " ")):
        refuse_what_ended(story("one", EventKind.STARTED, EventKind.APPROVED, kind, EventKind.NOTIFIED))


def test_a_run_that_only_waited_begins_again() -> None:
    refuse_what_ended(story("one", EventKind.STARTED, EventKind.APPROVAL_ASKED, EventKind.RESUMED))
