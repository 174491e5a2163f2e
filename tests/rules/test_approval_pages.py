"""What an approver reads: everything that matters, in order, as plain text whatever it is, and not without end."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.approval_pages import EMERGENCY, MOST, ROWS, TO_DO, approval_page, irreversible, moment, seen, start_words
from rules.approval_words import Standing
from rules.catalogue import ConfigurationPolicy, FlagPolicy, KeyAction, KeyRule
from rules.configuration import ConfigurationPlan, plan_configuration
from rules.feature_flags import FlagPlan, plan_flags
from rules.flag_states import EnvironmentFlags
from rules.parameters import Parameter, Secret
from rules.plans import Plan, ServiceChange
from rules.production_policies import Emergency, Person, Terms, Waivable
from rules.vocabulary import Environment, Finding, Release, Role, Strategy, Verdict

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
DEADLINE = datetime(2026, 11, 26, 9, tzinfo=UTC)
RETO, SOFIA = Person("reto-keller", "Reto Keller"), Person("sofia-rossi", "Sofia Rossi")
STANDING = Standing(
    approved=False,
    rejected_by=None,
    given=(),
    stage="operations",
    missing=1,
    awaited=(SOFIA,),
    sentence="Reto Keller approved; awaited is 1 of operations (operations): Sofia Rossi.",
)
TERMS = Terms("Urs Frei", "CHG-102")
HOTFIX = Emergency("Nobody can log in.", "INC-9", (Waivable.WINDOW,))
LEFT_OUT = Finding("window", Verdict.FAILED, "It is Sunday.", waived="Emergency INC-9: Nobody can log in.")
URL = "https://prefect.test/runs/flow-run/1"
MARKUP = "<img src=x onerror=alert(1)> | **b** [l](javascript:1) `c`\n# h"


def environment(name: str) -> Environment:
    return Environment(name, Role.STAGING, "1" * 12, "eu-central-1", "arn", f"b-{name}", f"/b/{name}/", name)


def parameter(name: str, value: str | Secret) -> Parameter:
    return Parameter(name, value, "String" if isinstance(value, str) else "SecureString", 3)


def configured(source: dict[str, str | Secret], target: dict[str, str | Secret]) -> ConfigurationPlan:
    before, after = ([parameter(*pair) for pair in it.items()] for it in (source, target))
    policy = ConfigurationPolicy((KeyRule("**", KeyAction.COPY),))
    return plan_configuration(before, after, policy, environment("staging"), environment("production"))


def flags() -> FlagPlan:
    return plan_flags(EnvironmentFlags("staging", {}), EnvironmentFlags("production", {}), FlagPolicy())


def plan(
    source: dict[str, str | Secret] | None = None,
    target: dict[str, str | Secret] | None = None,
    *,
    services: int = 2,
    terms: Terms = TERMS,
) -> Plan:
    changes = tuple(ServiceChange(f"service-{n}", OLD, NEW, Strategy.CANARY) for n in range(services))
    release = Release("3f2a1bc", {it.service: NEW for it in changes})
    configuration = configured(source or {}, target or {})
    return Plan("batbern", "staging", "production", release, changes, configuration, flags(), "c", terms)


def page(
    of: Plan | None = None,
    findings: tuple[Finding, ...] = (Finding("health", Verdict.PASSED, "All is UP."),),
    *,
    standing: Standing = STANDING,
    authors: frozenset[str] = frozenset({"reto@batbern.example"}),
    deadline: datetime = DEADLINE,
    news: tuple[str, ...] = (),
    begins: str = "",
    database: str = "",
) -> str:
    return approval_page(
        plan=of or plan(),
        findings=findings,
        standing=standing,
        requester="Urs Frei",
        authors=authors,
        deadline=deadline,
        run_url=URL,
        news=news,
        begins=begins,
        database=database,
    )


def drawn(markdown: str) -> str:
    """As Markdown draws a sign after a backslash: the sign itself."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def titles(markdown: str) -> list[str]:
    return [drawn(line).lstrip("# ") for line in markdown.splitlines() if line.startswith("#")]


def test_a_page_begins_with_what_is_asked_and_of_which_plan() -> None:
    first, _, second, *_ = page().splitlines()
    assert drawn(first) == "### batbern 3f2a1bc, staging → production?"
    assert second == f"Plan **{plan().hash}**. {TO_DO}"


def test_a_page_tells_who_asks_who_wrote_it_the_ticket_when_and_how() -> None:
    told = drawn(page())
    for words in (
        "**Asked for by**: Urs Frei",
        "**Written by**: reto@batbern.example",
        "**Change ticket**: CHG-102",
        "**Begins**: as soon as it is approved and a window is open",
        "**How traffic moves**: canary in 2 services",
    ):
        assert words in told


def test_what_is_not_known_is_said() -> None:
    told = page(plan(terms=Terms("Urs Frei")), authors=frozenset())
    assert "**Change ticket**: none" in told
    assert "**Written by**: nobody is known" in told


def test_chapters_stand_in_the_order_in_which_they_matter() -> None:
    told = page(plan({"ttl": "60"}, {"ttl": "30"}, terms=replace(TERMS, emergency=HOTFIX)), news=("Reto approved.",))
    assert titles(told) == [
        "EMERGENCY INC-9: batbern 3f2a1bc, staging → production?",
        "What is new",
        "Whose turn it is",
        "EMERGENCY",
        "Images (2)",
        "Configuration (1)",
        "What cannot be taken back",
        "What was looked at",
        "How to fill in the form",
    ]


def test_news_are_the_latest_ones_with_the_last_at_the_end() -> None:
    told = page(news=tuple(f"event {n} happened" for n in range(9)))
    assert "event 3 happened" not in told
    assert told.index("event 4 happened") < told.index("event 8 happened")


def test_whose_turn_it_is_and_until_when_is_told_by_the_clock_on_the_wall() -> None:
    told = drawn(page(deadline=DEADLINE.astimezone(ZoneInfo("Europe/Zurich"))))
    assert "awaited is 1 of operations (operations): Sofia Rossi." in told
    assert "Until **Thursday 26 November 2026, 10:00 CET (09:00 UTC)**." in told


def test_an_emergency_is_loud_and_says_why_and_what_is_really_left_out() -> None:
    told = page(plan(terms=replace(TERMS, emergency=HOTFIX)), (LEFT_OUT,))
    assert told.startswith(f"### {EMERGENCY} INC-9")
    assert "**Nobody can log in.**" in told
    assert "It may leave out: window." in told
    assert "**window** is not met and left out: It is Sunday." in told


def test_an_emergency_that_had_to_leave_out_nothing_says_so() -> None:
    assert "nothing had to be left out" in page(plan(terms=replace(TERMS, emergency=HOTFIX)))


def test_without_an_emergency_the_word_does_not_appear() -> None:
    assert EMERGENCY not in page(findings=(LEFT_OUT,))


def test_images_are_told_by_twelve_digits_before_and_after() -> None:
    assert "- **service-0**: aaaaaaaaaaaa → bbbbbbbbbbbb" in drawn(page())


def test_a_service_that_serves_nothing_or_two_images_is_told_as_such() -> None:
    moving = plan(services=1)
    none, two = (replace(moving, services=(replace(moving.services[0], before=it),)) for it in ("", f"{OLD}+{NEW}"))
    assert "**service-0**: nothing → bbbbbbbbbbbb" in drawn(page(none))
    assert "**service-0**: aaaaaaaaaaaa, bbbbbbbbbbbb → bbbbbbbbbbbb" in drawn(page(two))


def test_a_parameter_that_changes_is_told_and_one_that_stays_is_not() -> None:
    told = drawn(page(plan({"ttl": "60", "same": "1", "new": "x"}, {"ttl": "30", "same": "1"})))
    assert "- **ttl**: 30 → 60" in told
    assert "- **new**: *nothing* → x" in told
    assert "same**" not in told


def test_a_secret_is_told_only_as_different() -> None:
    told = page(plan({"password": Secret("hunter2")}, {"password": Secret("swordfish")}))
    assert "hunter2" not in told
    assert "swordfish" not in told
    assert "**password**: secret → differs" in told


def test_where_nothing_changes_it_is_said() -> None:
    told = page(plan(services=0))
    for words in ("**Images**: no image changes.", "no parameter changes.", "no flag changes."):
        assert words in told


def test_of_two_hundred_parameters_the_first_are_shown_and_where_the_others_are() -> None:
    told = drawn(page(plan({f"key-{n:03}": "1" for n in range(200)})))
    assert f"key-{ROWS - 1:03}" in told
    assert f"key-{ROWS:03}" not in told
    assert f"… and {200 - ROWS} more: all of them are in the artifact *plan* of [this run]({URL})." in told


def test_a_page_has_no_table_because_the_form_would_hide_its_last_column() -> None:
    assert not [line for line in page(plan({"ttl": "60"})).splitlines() if line.startswith("|")]


def test_what_cannot_be_taken_back_is_told_with_and_without_a_snapshot() -> None:
    assert any("a snapshot of batbern-db is taken" in it for it in irreversible("batbern-db"))
    told = page()
    assert "No snapshot" in told
    assert "undone, the last one first, up to one without an undo script" in told
    assert "stays if its review found it safe, else a person is needed" in told
    assert "put back when it fails" in told


def test_what_is_not_met_comes_first_then_what_is_excused_and_what_passed_is_counted() -> None:
    unmet = Finding("health", Verdict.FAILED, "gateway is DOWN.", "DOWN", "UP")
    excused = Finding("load", Verdict.INCONCLUSIVE, "Not validated.", waived="not yet")
    told = drawn(page(findings=(excused, Finding("smoke", Verdict.PASSED, "It answers in time."), unmet)))
    assert "1 finding passed; these did not:" in told
    assert "**health** (NOT MET): gateway is DOWN. (measured DOWN, allowed UP)" in told
    assert "**load** (excused, not passed): Not validated. Excused because: not yet" in told
    assert told.index("**health**") < told.index("**load**")


def test_an_excuse_that_the_sentence_has_already_is_not_said_twice() -> None:
    finding = Finding(
        "load", Verdict.INCONCLUSIVE, "Not validated. There is no such gate.", waived="There is no such gate."
    )
    assert drawn(page(findings=(finding,))).count("There is no such gate.") == 1


def test_what_passed_is_not_listed() -> None:
    told = drawn(page(findings=(Finding("smoke", Verdict.PASSED, "It answers in time."),)))
    assert "answers in time" not in told


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (replace(TERMS, start_at="2026-11-24T08:00:00+00:00"), "at the promised time, Tuesday 24 November 2026, 08:00"),
        (replace(TERMS, next_window=True), "when the next window opens"),
        (replace(TERMS, emergency=HOTFIX), "as soon as it is approved, in a window or not"),
        (replace(TERMS, emergency=replace(HOTFIX, waives=())), "as soon as it is approved and a window is open"),
    ],
)
def test_when_traffic_would_move_follows_from_what_was_asked_for(terms: Terms, words: str) -> None:
    assert start_words(plan(terms=terms)).startswith(words)


def test_who_knows_better_when_it_begins_says_it() -> None:
    assert "**Begins**: Monday at nine" in page(begins="Monday at nine")


def test_a_time_in_utc_is_told_once() -> None:
    assert moment(DEADLINE) == "Thursday 26 November 2026, 09:00 UTC"


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_is_told_in_every_zone(at: datetime) -> None:
    assert re.fullmatch(r"\w+day \d+ \w+ \d+, \d\d:\d\d .+", moment(at))


def test_a_text_that_turns_its_neighbours_round_or_hides_does_not() -> None:
    assert seen("safe\u202egnihton\u200b is\n\tdone", 40) == "safe gnihton is done"


def test_markup_from_outside_is_drawn_as_text_wherever_it_comes_from() -> None:
    hotfix = Emergency(MARKUP, MARKUP, ())
    markup = Finding(MARKUP, Verdict.FAILED, MARKUP, MARKUP, MARKUP, waived=MARKUP)
    told = approval_page(
        plan=plan({"ttl": MARKUP}, terms=Terms(MARKUP, MARKUP, emergency=hotfix)),
        findings=(markup,),
        standing=replace(STANDING, sentence=MARKUP),
        requester=MARKUP,
        authors=frozenset({MARKUP}),
        deadline=DEADLINE,
        run_url=MARKUP,
        news=(MARKUP,),
        begins=MARKUP,
        database=MARKUP,
    )
    assert not re.search(r"<|`|\[l\]|\*\*b", re.sub(r"\\.", "", told))
    assert told.count("\n# ") == 0


wild = st.builds(lambda text, times: text * times, st.text(max_size=12), st.sampled_from([0, 1, 400]))
wild_findings = st.builds(Finding, wild, st.sampled_from(Verdict), wild, wild, wild, waived=wild)


@given(
    st.dictionaries(st.text("abc<|/.-", min_size=1, max_size=80), wild.filter(bool), max_size=60),
    st.lists(wild_findings, max_size=30).map(tuple),
    st.lists(wild, max_size=9).map(tuple),
    st.frozensets(wild, max_size=9),
    wild,
)
def test_no_page_has_markup_from_outside_or_no_end(
    parameters: dict[str, str | Secret],
    findings: tuple[Finding, ...],
    news: tuple[str, ...],
    authors: frozenset[str],
    text: str,
) -> None:
    terms = Terms(text, text, emergency=Emergency(text, text, tuple(Waivable)))
    told = page(plan(parameters, terms=terms, services=60), findings, authors=authors, news=news, database=text)
    assert len(told) <= MOST
    assert "<" not in re.sub(r"\\.", "", told)


def test_the_longest_page_of_all_stays_within_its_bound() -> None:
    long = "|" * 5000
    findings = tuple(Finding(long, Verdict.FAILED, long, long, long, waived="Emergency " + long) for _ in range(60))
    parameters: dict[str, str | Secret] = {f"{n:03}" + "|" * 200: long for n in range(200)}
    terms = Terms(long, long, emergency=Emergency(long, long, tuple(Waivable)))
    authors = frozenset(f"{n}{long}" for n in range(60))
    told = approval_page(
        plan=replace(plan(parameters, terms=terms, services=200), application=long, source=long, target=long),
        findings=findings,
        standing=replace(STANDING, sentence=long),
        requester=long,
        authors=authors,
        deadline=DEADLINE + timedelta(days=1),
        run_url="https://x.test/" + "x" * 480,
        news=(long,) * 60,
        begins=long,
        database=long,
    )
    assert len(told) <= MOST
