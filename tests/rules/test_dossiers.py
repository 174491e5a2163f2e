"""One release's promotion on one page: everything is there, nothing is markup, the same records give the same page."""

import re
from html.parser import HTMLParser

import pytest
from audit_story import BEGIN, NASTY, NEW, OLD, PLAN, TO_PRODUCTION, TO_STAGING, events, ledger_of
from hypothesis import given
from hypothesis import strategies as st

from rules.dossier_pages import Chapter, Dossier, html_page, markdown_page
from rules.dossiers import Subject, dossier, find_run, find_subject
from rules.errors import InvalidInput
from rules.records import Event, EventKind, chain

Row = dict[str, str]


class Reader(HTMLParser):
    """What an HTML page shows, and which tags it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.shown = ""
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in {"src", "href"} or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.shown += data


def subject(end: EventKind = EventKind.COMPLETED) -> Subject:
    return find_subject(ledger_of(events(end)), TO_PRODUCTION)


def rows(title: str, end: EventKind = EventKind.COMPLETED) -> list[Row]:
    page = dossier(subject(end), "batbern")
    [chapter] = [it for it in page.chapters if it.title == title]
    return [dict(row) for row in chapter.rows]


def facts(title: str) -> Row:
    return {row["what"]: row["value"] for row in rows(title)}


def drawn(markdown: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def test_the_title_says_what_came_of_it() -> None:
    assert dossier(subject(), "batbern").title == "batbern 3f2a1bc staging → production succeeded"
    assert dossier(subject(EventKind.PUT_BACK)).title == "3f2a1bc staging → production failed and was put back"


def test_who_asked_for_what_is_told() -> None:
    assert facts("Request") == {
        "asked by": "maria.muster",
        "version asked for": "whatever ran in the source",
        "from": "staging",
        "strategy": "canary",
        "change ticket": "CHG-7",
    }


def test_where_the_release_came_from_is_told_by_its_digests() -> None:
    assert facts("Where the release came from")["run"] == TO_STAGING
    assert facts("Where the release came from")["records"] == "2 to 5"


def test_the_evidence_that_the_run_relied_on_is_part_of_it() -> None:
    verdicts = {row["gate"]: row["verdict"] for row in rows("Evidence that it was validated before")}
    assert verdicts["soak"] == "passed"
    assert verdicts["validation: load"] == "excused"


def test_an_approval_names_person_plan_and_code_step_and_whether_it_counted() -> None:
    told = {row["person"]: row for row in rows("Approvals")}
    assert {person: row["counts"] for person, row in told.items()} == {
        "beat": "void: the plan changed",
        "anna": "yes",
        "reto": "yes",
    }
    assert (told["anna"]["plan"], told["anna"]["code's step"], told["anna"]["comment"]) == (PLAN, "12", NASTY)


def test_approvals_of_a_run_that_was_not_approved_do_not_count() -> None:
    told = [it for it in events() if it.kind is not EventKind.APPROVED]
    page = dossier(find_subject(ledger_of(told), TO_PRODUCTION))
    [approvals] = [it for it in page.chapters if it.title == "Approvals"]
    assert {row["counts"] for row in approvals.rows} == {"void: the plan changed", "the run was not approved"}


def test_answers_that_were_not_admitted_are_told_with_the_reason() -> None:
    [row] = rows("Answers that were not admitted")
    assert (row["claimed to be"], row["why not"], row["code's step"]) == ("Anna", "wrong code", "")


def test_each_change_stands_with_before_and_after() -> None:
    told = {row["name"]: row for row in rows("Changes")}
    assert (told["gateway"]["before"], told["gateway"]["after"], told["gateway"]["end"]) == (OLD, NEW, "arrived")
    assert told["redis/cache-ttl"]["before"] == "60 (version 3)"
    assert told["redis/cache-ttl"]["after"] == "90 (version 4)"
    assert (told["new-programme: on"]["before"], told["new-programme: on"]["after"]) == ("off", "on")
    assert told["gateway"]["records"] == "26, 27"


def test_a_secret_is_shown_as_one() -> None:
    [row] = [row for row in rows("Changes") if row["name"] == "smtp/password"]
    assert (row["before"], row["after"]) == ("secret (version 8)", "differs (version 9)")


def test_a_roll_back_is_told_and_each_change_says_so() -> None:
    assert {row["end"] for row in rows("Changes", EventKind.PUT_BACK)} == {
        "put back",
        "applied then put back",
    }
    assert [row["what"] for row in rows("Put back", EventKind.PUT_BACK)] == ["put back"] * 3


def test_what_a_dead_run_left_is_told() -> None:
    assert "NOT FINISHED by this run" in {row["end"] for row in rows("Changes", EventKind.FAILED)}
    assert rows("Put back", EventKind.FAILED)[-1]["what"] == "LEFT OPEN by this run"


def test_how_long_it_took_is_told() -> None:
    told = facts("How it ended")
    assert told["took in all"] == "22 min"
    assert told["from the lock to the end"] == "8 min"
    assert told["from the first question to the approval"] == "9 min"


def test_every_record_of_the_run_and_of_no_other_stands_in_it() -> None:
    told = rows("Every record of the run")
    assert [int(row["record"]) for row in told] == [it.seq for it in subject().run]
    assert len(told) == 23


def test_a_run_that_was_refused_before_there_was_a_plan_has_a_page_too() -> None:
    told = [it for it in events() if it.run_id != TO_PRODUCTION]
    started = [it for it in events() if it.run_id == TO_PRODUCTION][:1]
    refused = Event(TO_PRODUCTION, "", "production", EventKind.REFUSED, "No such version.")
    page = dossier(find_subject(ledger_of([*told, *started, refused]), TO_PRODUCTION))
    assert "was refused" in page.title
    assert "Where the release came from" not in {it.title for it in page.chapters}


def test_a_run_that_still_waits_has_a_page_too() -> None:
    page = dossier(find_subject(ledger_of(events()[:12]), TO_PRODUCTION), "batbern")
    assert page.title == f"batbern run {TO_PRODUCTION} has not ended yet"


def test_the_html_page_needs_nothing_and_runs_nothing() -> None:
    page = html_page(dossier(subject(), "batbern"))
    reader = Reader(page)
    assert not {"script", "img", "link", "iframe", "a", "form"} & set(reader.tags)
    assert reader.loads == []
    assert "default-src 'none'" in page
    assert NASTY in reader.shown


def test_the_markdown_page_draws_what_was_written() -> None:
    page = markdown_page(dossier(subject(), "batbern"))
    assert "<script" not in page.replace("\\<", "")
    assert NASTY in drawn(page)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_text_is_markup_in_either_page(text: str) -> None:
    page = Dossier(text, (Chapter(text, (text,), ({"column": text},)),))
    shape = [tag for tag in Reader(html_page(page)).tags if tag not in {"meta", "style"}]
    assert shape == [
        "html", "head", "title", "body", "h1", "h2", "p", "table", "thead", "tr", "th", "tbody", "tr", "td",
    ]  # fmt: skip
    html_page(page).encode()
    assert len([line for line in markdown_page(page).splitlines() if line.startswith("#")]) == 2


def test_the_same_records_give_the_same_page() -> None:
    assert html_page(dossier(subject())) == html_page(dossier(subject()))


def test_the_piece_of_the_ledger_begins_where_the_story_begins() -> None:
    assert (subject().first, subject().last) == (2, 29)


def test_the_last_completed_promotion_of_a_version_is_found() -> None:
    records = ledger_of(events())
    assert find_run(records, "3f2a1") == TO_PRODUCTION
    assert find_run(records, "3f2a1bc", "staging") == TO_STAGING
    for version, environment in (("4711", ""), ("3f2a1bc", "dev")):
        with pytest.raises(InvalidInput, match="the version"):
            find_run(records, version, environment)


def test_a_rehearsal_is_no_promotion() -> None:
    rehearsed = Event("run-dry", "", "production", EventKind.COMPLETED, "Dry.", {"version": "9d8e7f6", "dry_run": True})
    with pytest.raises(InvalidInput):
        find_run([chain(None, rehearsed, BEGIN)], "9d8e7f6")


def test_a_run_that_nobody_knows_has_no_page() -> None:
    with pytest.raises(InvalidInput, match="the run"):
        find_subject(ledger_of(events()), "nobody")
