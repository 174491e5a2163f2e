"""What the catalogue's words about production must satisfy: one mistake in each, and what is told of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import Catalogue
from rules.catalogue_problems import Problem
from rules.production_checks import production_problems
from rules.production_policies import (
    ApprovalPolicy,
    ApprovalStage,
    EmergencyPolicy,
    EvidencePolicy,
    Freeze,
    HistoryPolicy,
    Person,
    TicketPolicy,
    Waivable,
    Weekday,
    Window,
    WindowPolicy,
)
from rules.vocabulary import Environment, Role, Service
from rules.windows import check_windows

DEV = Environment("dev", Role.INTEGRATION, "1" * 12, "eu-central-1", "arn", "dev", "/dev/", "dev")
PRODUCTION = replace(DEV, name="production", role=Role.PRODUCTION)
EVENTS = Service("events", "Events-", "batbern/events", "app", "/health")

ANNA = Person("anna", "Anna Meier", ("leads",), ("anna@example.com", "annam"))
RETO = Person("reto", "Reto Keller", ("leads", "ops"), ("reto@example.com",))
SOFIA = Person("sofia", "Sofia Rossi", ("ops",))
LEAD, OPS = ApprovalStage("team lead", "leads", 1), ApprovalStage("operations", "ops", 1)
WINDOW = Window((Weekday.MONDAY, Weekday.TUESDAY), "09:00", "16:00", "Europe/Zurich")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FREEZE = Freeze("2026-12-19", "2027-01-03", "The end of the year.", "Sofia Rossi", "Europe/Zurich")

RIGHT = Catalogue(
    "batbern",
    ("dev", "production"),
    {"dev": DEV, "production": PRODUCTION},
    {"events": EVENTS},
    "dev",
    people={it.id: it for it in (ANNA, RETO, SOFIA)},
    approvals=ApprovalPolicy((LEAD, OPS)),
    windows=WindowPolicy((WINDOW,), (FREEZE,)),
    tickets=TicketPolicy("CHG"),
    history=HistoryPolicy("batbern/platform"),
)


def found(catalogue: Catalogue) -> list[Problem]:
    return list(production_problems(catalogue))


def with_window(**changes: Any) -> Catalogue:
    return replace(RIGHT, windows=WindowPolicy((replace(WINDOW, **changes),)))


def with_freeze(**changes: Any) -> Catalogue:
    return replace(RIGHT, windows=WindowPolicy((WINDOW,), (replace(FREEZE, **changes),)))


def with_approvals(*stages: ApprovalStage, **changes: Any) -> Catalogue:
    return replace(RIGHT, approvals=ApprovalPolicy(stages or (LEAD, OPS), **changes))


def with_people(*people: Person) -> Catalogue:
    return replace(RIGHT, people={it.id: it for it in people})


def test_a_right_catalogue_has_no_problem() -> None:
    assert found(RIGHT) == []


def test_without_production_nobody_and_no_window_must_be_there() -> None:
    empty = Catalogue("batbern", ("dev",), {"dev": DEV, "production": PRODUCTION}, {"events": EVENTS}, "dev")
    assert found(empty) == []
    assert {it.path for it in found(replace(empty, chain=RIGHT.chain))} == {
        ("approvals", "stages"),
        ("emergency", "approvals", "stages"),
        ("windows", "open"),
    }


def test_without_production_what_is_there_must_be_right_all_the_same() -> None:
    assert found(replace(with_window(opens="9:00"), chain=("dev",)))


@pytest.mark.parametrize(
    ("catalogue", "path", "said"),
    [
        (with_window(days=()), ("windows", "open", 0, "days"), "one weekday or more"),
        (with_window(days=(Weekday.MONDAY,) * 2), ("windows", "open", 0, "days"), "each once"),
        (with_window(opens="9:00"), ("windows", "open", 0, "opens"), "09:00:30"),
        (with_window(opens="24:00"), ("windows", "open", 0, "opens"), "before the day's end"),
        (with_window(closes="25:00"), ("windows", "open", 0, "closes"), "24:00 is the day's end"),
        (with_window(closes="09:00:00"), ("windows", "open", 0, "closes"), "00:00 to 24:00"),
        (with_window(timezone="Zurich"), ("windows", "open", 0, "timezone"), "IANA"),
        (with_freeze(begins="2026-02-30"), ("windows", "freezes", 0, "begins"), "2026-12-20"),
        (with_freeze(ends="2027-01-03T17:00Z"), ("windows", "freezes", 0, "ends"), "without an offset"),
        (with_freeze(ends="2026-12-18"), ("windows", "freezes", 0, "ends"), "later than begins"),
        (with_freeze(begins="2027-01-04T00:00"), ("windows", "freezes", 0, "ends"), "later than begins"),
        (with_freeze(reason=" "), ("windows", "freezes", 0, "reason"), "not empty"),
        (with_freeze(owner=""), ("windows", "freezes", 0, "owner"), "not empty"),
        (with_freeze(timezone="Mars/Olympus"), ("windows", "freezes", 0, "timezone"), "IANA"),
        (
            replace(RIGHT, windows=replace(RIGHT.windows, promise_minutes=0)),
            ("windows", "promise_minutes"),
            "a number above 0",
        ),
        (with_approvals(replace(LEAD, count=0)), ("approvals", "stages", 0, "count"), "1 or more"),
        (with_approvals(LEAD, replace(OPS, name="team lead")), ("approvals", "stages", 1, "name"), "of its own"),
        (with_approvals(replace(LEAD, name="")), ("approvals", "stages", 0, "name"), "not empty"),
        (with_approvals(replace(LEAD, count=3)), ("approvals", "stages"), "needs 3 of the group 'leads' (they are"),
        (with_approvals(replace(LEAD, group="boss")), ("approvals", "stages"), "they are nobody"),
        (with_approvals(deadline_hours=8), ("approvals", "deadline_hours"), "more than reminder_hours (8)"),
        (with_approvals(deadline_hours=float("nan")), ("approvals", "deadline_hours"), "a number above 0"),
        (with_approvals(deadline_hours=1e300), ("approvals", "deadline_hours"), "at most 10000"),
        (with_approvals(attempts=0), ("approvals", "attempts"), "a number above 0"),
        (with_approvals(attempts_minutes=-1), ("approvals", "attempts_minutes"), "a number above 0"),
        (replace(RIGHT, tickets=TicketPolicy("chg")), ("tickets", "project"), "capital letters"),
        (replace(RIGHT, tickets=TicketPolicy("CHG", approved=())), ("tickets", "approved"), "may be made"),
        (replace(RIGHT, tickets=TicketPolicy("CHG", approved=("",))), ("tickets", "approved"), "may be made"),
        (replace(RIGHT, tickets=TicketPolicy("CHG", issue_type="")), ("tickets", "issue_type"), "not empty"),
        (replace(RIGHT, evidence=EvidencePolicy(0)), ("evidence", "hours"), "a number above 0"),
        (
            replace(RIGHT, emergency=EmergencyPolicy((Waivable.WINDOW, Waivable.WINDOW))),
            ("emergency", "waivable"),
            "each gate once",
        ),
        (
            replace(RIGHT, emergency=EmergencyPolicy(approvals=ApprovalPolicy((ApprovalStage("emergency", count=4),)))),
            ("emergency", "approvals", "stages"),
            "4 different ones",
        ),
        (replace(RIGHT, history=HistoryPolicy("https://github.com/a/b")), ("history", "repository"), "owner/name"),
        (replace(RIGHT, history=HistoryPolicy("batbern/..")), ("history", "repository"), "owner/name"),
        (replace(RIGHT, history=HistoryPolicy("batbern/platform.git")), ("history", "repository"), "without .git"),
        (with_people(ANNA, RETO, SOFIA, Person("", "Nobody")), ("people", "", "id"), "letters"),
        (with_people(ANNA, RETO, SOFIA, Person("urs", " ")), ("people", "urs", "name"), "not empty"),
        (with_people(ANNA, RETO, replace(SOFIA, accounts=("",))), ("people", "sofia", "accounts"), "not empty"),
        (
            with_people(ANNA, RETO, replace(SOFIA, accounts=("AnnaM ",))),
            ("people", "sofia", "accounts"),
            "anna does, too",
        ),
        (
            with_people(ANNA, RETO, replace(SOFIA, accounts=("reto",))),
            ("people", "sofia", "accounts"),
            "reto does, too",
        ),
        (replace(RIGHT, people={**RIGHT.people, "urs": ANNA}), ("people", "urs", "id"), "'urs'"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(
    catalogue: Catalogue, path: tuple[str | int, ...], said: str
) -> None:
    told = {problem.path: problem.allowed for problem in found(catalogue)}
    assert path in told, told
    assert any(said in problem.allowed for problem in found(catalogue) if problem.path == path), told[path]


def test_an_account_of_two_is_told_of_both() -> None:
    paths = [it.path for it in found(with_people(ANNA, RETO, replace(SOFIA, accounts=("ANNA@example.com",))))]
    assert paths == [("people", "anna", "accounts"), ("people", "sofia", "accounts")]


@pytest.mark.parametrize("name", ["Anna Meier", "anna  MEIER", "anna", "AnnaM"])
def test_whoever_is_named_as_another_one_goes_by_is_told(name: str) -> None:
    """The audit trail tells people by their names."""
    problems = {it.path: it.allowed for it in found(with_people(ANNA, RETO, replace(SOFIA, name=name)))}
    assert "anna does, too" in problems["people", "sofia", "name"]


@given(st.floats(allow_nan=True) | st.integers() | st.just(10**400))
def test_whatever_number_is_admitted_can_be_reckoned_with(number: float) -> None:
    catalogue = replace(RIGHT, windows=replace(RIGHT.windows, promise_minutes=number))
    if not found(catalogue):
        assert check_windows(catalogue.windows, NOON, 5, NOON, next_window=False)


def test_without_a_ticket_project_there_are_no_words_about_tickets() -> None:
    assert found(replace(RIGHT, tickets=TicketPolicy(approved=(), issue_type=""))) == []


def test_whoever_has_left_does_not_count() -> None:
    assert found(with_people(ANNA, SOFIA)) == []
    assert {it.path for it in found(with_people(ANNA, replace(RETO, active=False), replace(SOFIA, active=False)))} == {
        ("approvals", "stages"),
        ("emergency", "approvals", "stages"),
    }


def test_one_person_of_both_groups_counts_once() -> None:
    both = replace(RETO, id="both")
    assert ("approvals", "stages") in {it.path for it in found(with_people(both, replace(ANNA, groups=("guests",))))}
    assert found(with_people(both, ANNA)) == []
    assert found(with_people(both, SOFIA)) == []


def test_how_long_a_window_is_is_no_mistake() -> None:
    """A roll-out's length is an estimate, and a catalogue that is refused would stop the way back, too."""
    assert found(with_window(closes="09:01")) == []


GROUPS = ("leads", "ops", "guests")
people = st.lists(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True), max_size=5)
stages = st.lists(st.tuples(st.sampled_from(["", *GROUPS]), st.integers(1, 2)), min_size=1, max_size=3)


@given(people, stages)
def test_there_are_people_enough_exactly_when_each_seat_can_have_its_own(
    groups: Sequence[list[str]], wanted: Sequence[tuple[str, int]]
) -> None:
    persons = [Person(f"p{at}", f"P {at}", tuple(it)) for at, it in enumerate(groups)]
    policy = ApprovalPolicy(tuple(ApprovalStage(f"s{at}", group, count) for at, (group, count) in enumerate(wanted)))
    seats = [group for group, count in wanted for _ in range(count)]
    can = any(
        all(not group or group in person.groups for group, person in zip(seats, order, strict=True))
        for order in permutations(persons, len(seats))
    )
    catalogue = replace(with_people(*persons), approvals=policy)
    assert (("approvals", "stages") not in {it.path for it in found(catalogue)}) is can
