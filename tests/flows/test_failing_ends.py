"""When putting back, the lock or the ledger itself fails: the run still says so, and somebody is paged."""

from asyncio import CancelledError
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.register import make_lock
from rules.catalogue import LockPolicy, RolloutPolicy
from rules.errors import Outage, PutBackFailed, RolloutFailed
from rules.messages import Page
from rules.records import Event, EventKind
from rules.releases import ServiceState
from rules.settling import INTENTS
from rules.vocabulary import Verdict
from tasks.announcing import announce, announce_unrecorded
from tasks.artifacts import Progress, publish_table
from tasks.changing import holding
from tasks.locks import lock_name
from tasks.putting_back import _undo, put_back
from tasks.records import note
from tasks.rollouts import arrival

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64


class DeafLedger:
    """Out of reach."""

    def append(self, _event: object) -> None:
        raise Outage("The ledger", "appending", "no route")

    def records(self, _run_id: str | None = None) -> Any:
        raise Outage("The ledger", "reading", "no route")


def promotion_with(ledger: object) -> Any:
    return SimpleNamespace(
        application=SimpleNamespace(name="batbern", ledger=ledger),
        target=SimpleNamespace(environment=SimpleNamespace(name="staging")),
    )


def test_a_ledger_that_does_not_tell_what_was_begun_is_a_failed_put_back() -> None:
    told = put_back(promotion_with(DeafLedger()), "plan", INTENTS, RolloutFailed("events", "it crashed"))
    assert isinstance(told, PutBackFailed)
    assert "it crashed" in str(told)
    assert "The ledger did not answer" in str(told)


def test_one_step_back_that_breaks_in_any_way_does_not_keep_the_others_from_going_back() -> None:
    def broken() -> None:
        raise KeyError("events")

    restored, stuck = _undo([("events", broken), ("speakers", lambda: None)])
    assert restored == ["speakers"]
    assert stuck == ["events: KeyError: 'events'"]


def test_that_the_lock_is_free_is_only_a_note() -> None:
    note(cast("Any", DeafLedger()), Event("run", "plan", "staging", EventKind.LOCK_RELEASED, "staging is free again."))


class Listener:
    """Chat and pager in one: keeps what it is told, or fails at it."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.heard: list[Any] = []
        self._trouble = trouble

    def post(self, told: object) -> None:
        if self._trouble:
            raise self._trouble
        self.heard.append(told)

    trigger = note_change = post


class Staging:
    """Containers of one service whose autoscaling is one task short for so many looks."""

    def __init__(self, short: int, digest: str = NEW) -> None:
        self.short, self.digest, self.now = short, digest, 0.0

    def states(self, _services: object, _environment: str) -> dict[str, ServiceState]:
        self.short -= 1
        running = 2 if self.short < 0 else 1
        at = datetime(2026, 11, 22, tzinfo=UTC)
        return {"events": ServiceState("events", "Events-x1", "td:7", 2, running, at, frozenset({self.digest}))}

    def pause(self, seconds: float) -> None:
        self.now += seconds


def verdict_of(staging: Staging) -> Verdict:
    target = SimpleNamespace(environment=SimpleNamespace(name="staging"), containers=staging)
    promotion = SimpleNamespace(target=target, services=(), catalogue=SimpleNamespace(rollout=RolloutPolicy()))
    [finding] = arrival(cast("Any", promotion), {"events": NEW}, lambda: staging.now, staging.pause)
    return finding.verdict


def test_a_release_is_not_taken_back_for_a_task_that_is_just_being_started() -> None:
    assert verdict_of(Staging(short=5)) is Verdict.PASSED


def test_a_task_that_stays_away_is_no_arrival() -> None:
    staging = Staging(short=10_000)
    assert verdict_of(staging) is Verdict.INCONCLUSIVE
    assert staging.now == 180


def test_another_image_is_told_at_once() -> None:
    staging = Staging(short=0, digest=OLD)
    assert (verdict_of(staging), staging.now) == (Verdict.FAILED, 0)


def application_with(ledger: object, chat: Listener, pager: Listener) -> Any:
    return SimpleNamespace(name="batbern", ledger=ledger, chat=chat, pager=pager)


STUCK = Event("run", "plan", "staging", EventKind.PUT_BACK_FAILED, "events is stuck.")


def test_somebody_is_paged_although_the_ledger_is_out_of_reach() -> None:
    chat, pager = Listener(), Listener()
    announce_unrecorded(application_with(DeafLedger(), chat, pager), STUCK, "promote-to-staging")
    assert [told.summary for told in pager.heard if isinstance(told, Page)]
    assert "events is stuck." in chat.heard[0].text


def test_a_channel_that_breaks_in_any_way_does_not_silence_the_others() -> None:
    chat, pager = Listener(ValueError("no such code point")), Listener()
    announce_unrecorded(application_with(DeafLedger(), chat, pager), STUCK, "promote-to-staging")
    assert len(pager.heard) == 2


def test_telling_how_a_run_ended_cannot_change_how_it_ended() -> None:
    announce(application_with(DeafLedger(), Listener(), Listener()), "run", "promote-to-staging")


def test_a_prefect_server_out_of_reach_costs_the_pictures_and_nothing_else() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        progress = Progress("rollout-events", "events: new revision")
        progress.show(50.0, "half of it")
        publish_table("plan", [], "Plan")


class Memory:
    """A ledger that keeps what happened."""

    def __init__(self) -> None:
        self.kinds: list[EventKind] = []

    def append(self, event: Event) -> None:
        self.kinds.append(event.kind)


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_lost_its_lock_touches_nothing_more_and_calls_a_person() -> None:
    with get_client(sync_client=True) as client:
        make_lock(client, lock_name("lost", "staging"))
    ledger = Memory()
    promotion = promotion_with(ledger)
    promotion.application.name, promotion.run_id = "lost", "run"
    promotion.catalogue = SimpleNamespace(lock=LockPolicy())
    with pytest.raises(PutBackFailed, match="lock of staging"), holding(promotion, "plan", INTENTS):
        raise CancelledError  # as Prefect does when it could not renew the lease
    assert ledger.kinds == [EventKind.LOCK_TAKEN, EventKind.LOCK_RELEASED]
