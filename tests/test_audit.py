import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from audit_story import BEGIN, TO_PRODUCTION, events

from blocks.catalogue import PROJECT
from blocks.ledger import LocalLedger
from deployments.audit import main
from deployments.bundle_check import main as check_bundle
from rules.records import Event, EventKind, Record

Captured = pytest.CaptureFixture[str]


def event(kind: EventKind, sentence: str, run: str = "5f0c-first") -> Event:
    return Event(run, "abcdef0123456789", "staging", kind, sentence)


@pytest.fixture
def ledger(tmp_path: Path) -> LocalLedger:
    return LocalLedger(directory=str(tmp_path))


@pytest.fixture
def records(ledger: LocalLedger) -> list[Record]:
    return [
        ledger.append(event(EventKind.STARTED, "Promotion of 3f2a1bc to staging begun.")),
        ledger.append(event(EventKind.ROLLOUT_INTENT, "About to roll out gateway.")),
        ledger.append(event(EventKind.STARTED, "Promotion of 9d8e7f6 to staging begun.", "5f0c-second")),
        ledger.append(event(EventKind.REFUSED, "Refused: gateway is not stable.", "5f0c-second")),
    ]


def change(ledger: LocalLedger, old: str, new: str) -> None:
    file = Path(ledger.directory) / "records.jsonl"
    file.write_text(file.read_text().replace(old, new))


def audit(ledger: LocalLedger, *arguments: str) -> int:
    command, *rest = arguments
    return main([command, "--directory", ledger.directory, *rest])


@pytest.mark.usefixtures("records")
def test_the_story_of_all_runs_is_told(ledger: LocalLedger, capsys: Captured) -> None:
    assert audit(ledger, "show") == 0
    told = capsys.readouterr().out
    assert "run 5f0c-first, plan abcdef012345" in told
    assert "staging  Refused: gateway is not stable." in told
    assert "LEFT OPEN: About to roll out gateway." in told


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("run", ["5f0c-second", "5f0c-s"])
def test_the_story_of_one_run_is_told(ledger: LocalLedger, capsys: Captured, run: str) -> None:
    assert audit(ledger, "show", run) == 0
    told = capsys.readouterr().out
    assert "9d8e7f6" in told
    assert "3f2a1bc" not in told


def test_an_empty_ledger_has_no_story(ledger: LocalLedger, capsys: Captured) -> None:
    assert audit(ledger, "show") == 0
    assert capsys.readouterr().out == "Nothing is recorded yet.\n"


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("run", "why"), [("5f0c", "the beginning of 5f0c-first, 5f0c-second"), ("77", "of no run in the ledger")]
)
def test_a_run_that_cannot_be_told_apart_is_refused(ledger: LocalLedger, capsys: Captured, run: str, why: str) -> None:
    assert audit(ledger, "show", run) == 2
    assert why in capsys.readouterr().err


def test_an_untouched_ledger_is_proved(ledger: LocalLedger, records: list[Record], capsys: Captured) -> None:
    assert audit(ledger, "verify") == 0
    assert f"Unbroken: 4 records. The last is record 4, {records[-1].hash}" in capsys.readouterr().out
    assert audit(ledger, "verify", "--expect", records[1].hash) == 0


@pytest.mark.usefixtures("records")
def test_a_changed_line_breaks_the_proof(ledger: LocalLedger, capsys: Captured) -> None:
    change(ledger, "Refused: gateway is not stable.", "Completed.")
    assert audit(ledger, "verify") == 1
    assert "CHANGED: Record 4 on line 4 was changed" in capsys.readouterr().out


@pytest.mark.usefixtures("records")
def test_a_removed_end_breaks_the_proof(ledger: LocalLedger, capsys: Captured) -> None:
    file = Path(ledger.directory) / "records.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert audit(ledger, "verify") == 1
    assert "REMOVED: Record 4 is missing" in capsys.readouterr().out


@pytest.mark.usefixtures("records")
def test_a_hash_that_is_not_in_the_chain_breaks_the_proof(ledger: LocalLedger, capsys: Captured) -> None:
    assert audit(ledger, "verify", "--expect", "0" * 64) == 1
    assert "No record has the expected hash" in capsys.readouterr().out


@pytest.mark.usefixtures("records")
def test_a_torn_line_is_noted_and_breaks_nothing(ledger: LocalLedger, capsys: Captured) -> None:
    with (Path(ledger.directory) / "records.jsonl").open("a") as file:
        file.write('{"half')
    assert audit(ledger, "verify") == 0
    assert "Note: The last line is unfinished (6 bytes)" in capsys.readouterr().out


@pytest.mark.usefixtures("records")
def test_an_exported_run_carries_its_records_and_the_proof(ledger: LocalLedger, capsys: Captured) -> None:
    assert audit(ledger, "export", "5f0c-f") == 0
    proof = json.loads(capsys.readouterr().out)
    assert proof["unbroken"]
    assert [record["kind"] for record in proof["records"]] == ["started", "rollout_intent"]
    assert proof["ledger"]["head"]["seq"] == 4


@pytest.mark.usefixtures("records")
def test_the_export_of_a_broken_ledger_says_so(ledger: LocalLedger, capsys: Captured) -> None:
    change(ledger, "About to roll out", "Did not touch")
    assert audit(ledger, "export", "5f0c-f") == 1
    assert not json.loads(capsys.readouterr().out)["unbroken"]


def test_a_folder_that_is_not_there_is_refused(capsys: Captured) -> None:
    assert main(["verify", "--directory", "/nowhere"]) == 2
    assert "allowed is a folder that is there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["prove"],
        ["export"],
        ["bundle"],
        ["bundle", "run", "--version", "3f2a1bc"],
        ["verify", "--expect", "short"],
        ["verify", "--expect", "g" * 64],
    ],
)
def test_a_wrong_call_says_how_it_is_called(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m deployments.audit" in capsys.readouterr().err


@pytest.mark.usefixtures("records")
def test_the_exit_code_reaches_the_shell(ledger: LocalLedger) -> None:
    change(ledger, "Refused", "Passed")
    command = [sys.executable, "-m", "deployments.audit", "verify", "--directory", ledger.directory]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 1
    assert "BROKEN: 1 faults in 4 records." in answer.stdout


@pytest.fixture
def released(tmp_path: Path) -> LocalLedger:
    """A ledger with a release that went to production by two people's word."""
    ledger = LocalLedger(directory=str(tmp_path / "released"))
    for minutes, told in enumerate(events()):
        ledger.append(told, BEGIN + timedelta(minutes=minutes))
    return ledger


@pytest.mark.parametrize(
    "which",
    [
        [TO_PRODUCTION],
        ["run-to-prod"],
        ["--version", "3f2a1bc"],
        ["--version", "3f2a1", "--environment", "production"],
    ],
)
def test_a_bundle_is_made_that_proves_itself(released: LocalLedger, tmp_path: Path, which: list[str]) -> None:
    file = tmp_path / "bundle.zip"
    assert audit(released, "bundle", *which, "--output", str(file)) == 0
    assert check_bundle([str(file), "--expect", released.head().hash]) == 1  # another run's record came after
    last = [record for record in released.records() if record.event.run_id == TO_PRODUCTION][-1]
    assert check_bundle([str(file), "--expect", last.hash]) == 0


def test_hash_and_seal_of_a_bundle_are_told(released: LocalLedger, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "bundle.zip"
    audit(released, "bundle", TO_PRODUCTION, "--output", str(file))
    told = capsys.readouterr().out
    seal = told.partition("Its seal is ")[2].split()[0]
    assert check_bundle([str(file), "--expect", seal]) == 0


def test_a_version_of_which_no_promotion_was_completed_has_no_bundle(released: LocalLedger, capsys: Captured) -> None:
    assert audit(released, "bundle", "--version", "4711000") == 2
    assert "whose promotion was completed" in capsys.readouterr().err


def test_a_bundle_that_cannot_be_written_is_refused(released: LocalLedger, capsys: Captured) -> None:
    assert audit(released, "bundle", TO_PRODUCTION, "--output", "/nowhere/bundle.zip") == 2
    assert "one that can be written" in capsys.readouterr().err


def test_a_broken_ledger_has_no_bundle(released: LocalLedger, tmp_path: Path, capsys: Captured) -> None:
    change(released, "Approved by anna and reto", "Approved by anna and mallory")
    file = tmp_path / "bundle.zip"
    assert audit(released, "bundle", TO_PRODUCTION, "--output", str(file)) == 1
    assert "Record 18 on line" in capsys.readouterr().err
    assert not file.exists()


def test_a_fault_elsewhere_in_the_ledger_is_told_with_the_bundle(
    released: LocalLedger, tmp_path: Path, capsys: Captured
) -> None:
    change(released, "Refused: an older story", "Passed: an older story")
    file = tmp_path / "bundle.zip"
    assert audit(released, "bundle", TO_PRODUCTION, "--output", str(file)) == 1
    assert "elsewhere in the ledger: CHANGED: Record 1 on line 1" in capsys.readouterr().out
    assert check_bundle([str(file)]) == 0
