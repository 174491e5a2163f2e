"""AC16: the complete history of deployments and approvals.

Who asked, who approved what with which plan's hash, what was found, each change with before and after, the roll-back,
how long it took: written down as it happens, chained by hashes, shown as a history, as a page, and as a bundle that
an auditor checks offline.

The story's tests, and where they are shown here:
    16.1 should_recordAuditEntry_when_deploymentCompletes    of a ledger, and of a real walk into production
    16.2 should_trackApprovalChain_when_promotionApproved    who said yes to which plan, when, by which stage
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from audit_story import BEGIN, NEW, OLD, PLAN, TO_PRODUCTION, events
from production_world import ProductionWalk

from blocks.ledger import LocalLedger
from deployments.audit import main
from rules.dossiers import dossier, find_subject
from rules.histories import history, history_rows
from rules.records import EventKind, Record, narrate
from rules.verification import verify


def ledger_in(folder: Path, end: EventKind = EventKind.COMPLETED) -> LocalLedger:
    ledger = LocalLedger(directory=str(folder))
    for minutes, event in enumerate(events(end)):
        ledger.append(event, BEGIN + timedelta(minutes=minutes))
    return ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> LocalLedger:
    """A release that went to staging and then to production, by the word of two people."""
    return ledger_in(tmp_path_factory.mktemp("ledger"))


@pytest.fixture
def bundle(ledger: LocalLedger, tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "evidence.zip"
    assert main(["bundle", "--directory", ledger.directory, "--version", "3f2a1bc", "--output", str(file)]) == 0
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "evidence")
    return tmp_path / "evidence"


def chapter(ledger: LocalLedger, title: str) -> list[dict[str, str]]:
    page = dossier(find_subject(list(ledger.records()), TO_PRODUCTION), "batbern")
    return [dict(row) for it in page.chapters if it.title == title for row in it.rows]


def story(ledger: LocalLedger) -> list[Record]:
    return list(ledger.records(TO_PRODUCTION))


def test_a_deployment_that_completes_stands_in_the_record_from_the_request_to_the_end(ledger: LocalLedger) -> None:
    kinds = [record.event.kind for record in story(ledger)]
    assert kinds[0] is EventKind.STARTED
    assert EventKind.COMPLETED in kinds
    assert "maria.muster asked for it." in "\n".join(narrate(story(ledger)))


def test_each_change_stands_there_before_and_after(ledger: LocalLedger) -> None:
    changes = {row["name"]: (row["before"], row["after"], row["end"]) for row in chapter(ledger, "Changes")}
    assert changes["gateway"] == (OLD, NEW, "arrived")
    assert changes["redis/cache-ttl"] == ("60 (version 3)", "90 (version 4)", "applied")
    assert changes["new-programme: on"] == ("off", "on", "applied")


def test_the_chain_of_approvals_names_who_said_yes_to_which_plan_and_when(ledger: LocalLedger) -> None:
    counting = [row for row in chapter(ledger, "Approvals") if row["counts"] == "yes"]
    assert [(row["person"], row["plan"]) for row in counting] == [("anna", PLAN), ("reto", PLAN)]
    assert all(row["when"].startswith("2026-11-23 09:") for row in counting)


def test_an_approval_of_another_plan_and_a_wrong_code_stand_there_and_do_not_count(ledger: LocalLedger) -> None:
    counts = {row["person"]: row["counts"] for row in chapter(ledger, "Approvals")}
    assert counts["beat"] == "void: the plan changed"
    [attempt] = chapter(ledger, "Answers that were not admitted")
    assert (attempt["claimed to be"], attempt["why not"]) == ("Anna", "wrong code")


def test_a_roll_back_stands_there_too(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path / "put-back", EventKind.PUT_BACK)
    assert [row["said"] for row in chapter(ledger, "Put back")] == [
        "gateway is back.",
        "flags are back.",
        "parameters are back.",
    ]


def test_the_history_of_production_has_a_row_for_each_run(ledger: LocalLedger) -> None:
    [row] = history_rows(history(ledger.records(), "production"), lambda _run: "")
    assert {**row, "took": ""} == {
        "when": "2026-11-23 09:27 UTC",
        "version": "3f2a1bc",
        "from": "staging",
        "ending": "succeeded",
        "asked by": "maria.muster",
        "approved by": "anna, reto",
        "ticket": "CHG-7",
        "took": "",
        "run": TO_PRODUCTION,
    }


def test_nobody_can_change_the_record_unseen(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path / "changed")
    file = tmp_path / "changed" / "records.jsonl"
    file.write_text(file.read_text().replace("Approved by anna and reto", "Approved by mallory"))
    evidence = ledger.evidence()
    assert not verify(evidence.lines, evidence.head).unbroken


def test_an_auditor_checks_the_bundle_without_us(bundle: Path) -> None:
    answer = checked(bundle)
    assert answer.returncode == 0, answer.stdout
    assert f"are of run {TO_PRODUCTION}" in answer.stdout


def test_an_auditor_finds_whatever_was_changed_in_the_bundle(bundle: Path) -> None:
    chain = bundle / "chain.jsonl"
    chain.write_text(chain.read_text().replace("Approved by anna and reto", "Approved by mallory"))
    answer = checked(bundle)
    assert answer.returncode == 1
    assert "CHANGED: chain.jsonl line 17 (record 18)" in answer.stdout


def checked(bundle: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "check.py"]
    return subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.timeout(400)
def test_a_real_walk_into_production_is_proved_offline_and_tells_everything(
    production_walk: ProductionWalk, tmp_path: Path
) -> None:
    """Its first test waits for the whole walk."""
    file = tmp_path / "evidence.zip"
    assert (
        main(["bundle", str(production_walk.run.id), "--directory", production_walk.ledger, "--output", str(file)]) == 0
    )
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "evidence")
    assert checked(tmp_path / "evidence").returncode == 0
    page = (tmp_path / "evidence" / "page.html").read_text()
    for word in (
        production_walk.plan,
        production_walk.new,
        "release.manager",
        "Lead-0",
        "Operator-0",
        "batbern-production",
    ):
        assert word.casefold() in page.casefold(), word


def test_the_history_in_the_ui_has_the_walk_in_its_first_rows(production_walk: ProductionWalk) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        answer = client.request("GET", "/artifacts/{key}/latest", path_params={"key": "batbern-production-history"})
    assert production_walk.new in answer.json()["data"]
