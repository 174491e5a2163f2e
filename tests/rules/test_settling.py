"""What a promotion answers for: its own intents, and those of runs that died before it."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rules.records import Event, EventKind, Record
from rules.settling import INTENTS, SETTLED_BY, UNDONE_BY, deployed_by_us, services_before, unsettled

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def log(*events: tuple[str, EventKind, str]) -> list[Record]:
    """(run, kind, service) each."""
    return [
        Record(seq, NOW, Event(run, "hash", "staging", kind, "", {"service": service} if service else {}), "", "")
        for seq, (run, kind, service) in enumerate(events, start=1)
    ]


def pending(*events: tuple[str, EventKind, str]) -> list[tuple[str, EventKind, str]]:
    return [(e.run_id, e.kind, e.details.get("service", "")) for e in unsettled(log(*events), "staging")]


CONFIGURATION = EventKind.CONFIGURATION_INTENT
ROLLOUT = EventKind.ROLLOUT_INTENT


def test_a_completed_run_leaves_nothing() -> None:
    assert pending(("r1", CONFIGURATION, ""), ("r1", ROLLOUT, "events"), ("r1", EventKind.COMPLETED, "")) == []


def test_a_dead_run_leaves_its_intents_also_those_that_it_had_carried_out() -> None:
    died = (("r1", CONFIGURATION, ""), ("r1", EventKind.CONFIGURATION_APPLIED, ""), ("r1", ROLLOUT, "events"))
    assert pending(*died) == [("r1", CONFIGURATION, ""), ("r1", ROLLOUT, "events")]


def test_the_next_run_that_completes_settles_what_it_took_over() -> None:
    died = (("r1", CONFIGURATION, ""), ("r1", ROLLOUT, "events"))
    taken_over = (("r2", CONFIGURATION, ""), ("r2", ROLLOUT, "events"), ("r2", EventKind.COMPLETED, ""))
    assert pending(*died, *taken_over) == []


def test_a_run_about_configuration_alone_does_not_settle_a_roll_out() -> None:
    died = (("r1", CONFIGURATION, ""), ("r1", ROLLOUT, "events"))
    alone = (("r2", CONFIGURATION, ""), ("r2", EventKind.COMPLETED, ""))
    assert pending(*died, *alone) == [("r1", ROLLOUT, "events")]


def test_what_was_put_back_is_settled_step_by_step() -> None:
    died = (("r1", CONFIGURATION, ""), ("r1", ROLLOUT, "events"), ("r1", ROLLOUT, "speakers"))
    going_back = (("r1", EventKind.ROLLOUT_ROLLED_BACK, "events"),)
    assert pending(*died, *going_back) == [("r1", CONFIGURATION, ""), ("r1", ROLLOUT, "speakers")]


def test_a_refusal_settles_nothing() -> None:
    assert pending(("r1", CONFIGURATION, ""), ("r2", EventKind.REFUSED, "")) == [("r1", CONFIGURATION, "")]


def test_other_environments_are_none_of_ours() -> None:
    assert unsettled(log(("r1", CONFIGURATION, "")), "production") == ()


def test_going_back_means_back_to_before_the_first_of_them() -> None:
    def intent(run: str, digest: str) -> Event:
        details = {"service": "events", "before": {"task_definition": f"td:{digest}", "digests": [digest]}}
        return Event(run, "hash", "staging", ROLLOUT, "", details)

    assert services_before([intent("r1", "old"), intent("r2", "half")])["events"]["digests"] == ["old"]


def test_what_any_of_them_deployed_is_ours() -> None:
    def intent(run: str, definition: str) -> Event:
        details = {"service": "events", "after": {"task_definition": definition, "digest": "new"}}
        return Event(run, "hash", "staging", ROLLOUT, "", details)

    assert deployed_by_us([intent("r1", "td:8"), intent("r2", "td:9")]) == {"events": {"td:8", "td:9"}}


KINDS = st.sampled_from(sorted(INTENTS | SETTLED_BY | set(UNDONE_BY)))
EVENTS = st.tuples(st.sampled_from(["r1", "r2"]), KINDS, st.sampled_from(["", "events", "speakers"]))


@given(st.lists(EVENTS, max_size=20))
def test_a_run_that_touches_everything_and_completes_settles_everything(
    events: list[tuple[str, EventKind, str]],
) -> None:
    subjects = {(kind, service) for _, kind, service in events if kind in INTENTS}
    last = [("r9", kind, service) for kind, service in sorted(subjects)]
    assert pending(*events, *last, ("r9", EventKind.COMPLETED, "")) == []


@given(st.lists(EVENTS, max_size=20))
def test_what_is_unsettled_was_intended(events: list[tuple[str, EventKind, str]]) -> None:
    assert all(event in events for event in pending(*events))
