import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.catalogue import PROJECT
from blocks.ledger import LocalLedger
from rules.errors import InvalidInput, Outage
from rules.records import Event, EventKind, Head, Record
from rules.verification import Damage, VerificationReport, verify

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> LocalLedger:
    return LocalLedger(directory=str(tmp_path / "ledger"))


def event(sentence: str = "Begun.", run: str = "run", kind: EventKind = EventKind.STARTED) -> Event:
    return Event(run, "", "staging", kind, sentence)


def filled(ledger: LocalLedger, count: int) -> list[Record]:
    return [ledger.append(event(f"Step {number}."), NOON) for number in range(1, count + 1)]


def report(ledger: LocalLedger, expected: str = "") -> VerificationReport:
    evidence = ledger.evidence()
    return verify(evidence.lines, evidence.head, expected)


def file(ledger: LocalLedger) -> Path:
    return Path(ledger.directory) / "records.jsonl"


def head_file(ledger: LocalLedger) -> Path:
    return Path(ledger.directory) / "head.json"


def test_what_was_appended_is_there(ledger: LocalLedger) -> None:
    appended = filled(ledger, 3)
    assert list(ledger.records()) == appended
    assert [record.seq for record in appended] == [1, 2, 3]
    assert ledger.head() == Head(3, appended[-1].hash)
    assert report(ledger).unbroken


def test_a_ledger_that_was_never_written_is_empty(ledger: LocalLedger) -> None:
    assert list(ledger.records()) == []
    assert ledger.head() == Head()


def test_evidence_from_a_folder_that_is_not_there_is_refused(ledger: LocalLedger) -> None:
    with pytest.raises(InvalidInput, match="a folder that is there"):
        ledger.evidence()


def test_the_records_of_one_run_can_be_asked_for(ledger: LocalLedger) -> None:
    ledger.append(event(run="one"))
    ledger.append(event(run="two"))
    assert [record.event.run_id for record in ledger.records("two")] == ["two"]


def test_another_block_goes_on_where_the_first_stopped(ledger: LocalLedger) -> None:
    filled(ledger, 2)
    assert LocalLedger(directory=ledger.directory).append(event()).seq == 3


def test_the_time_of_a_record_is_now(ledger: LocalLedger) -> None:
    before = datetime.now(UTC)
    assert before <= ledger.append(event()).at <= datetime.now(UTC)


def test_a_line_longer_than_one_look_is_followed(ledger: LocalLedger) -> None:
    long = Event("run", "", "staging", EventKind.FINDINGS, "Long.", {"text": "x" * 300_000})
    first = ledger.append(long)
    assert ledger.append(long).previous == first.hash
    assert report(ledger).unbroken


WRITER = """
import itertools, sys
from blocks.ledger import LocalLedger
from rules.records import Event, EventKind
directory, writer, count = sys.argv[1:]
ledger = LocalLedger(directory=directory)
for number in range(int(count)) if count != "endless" else itertools.count():
    ledger.append(Event(writer, "", "staging", EventKind.ROLLOUT_OBSERVED, str(number)))
    print(number, flush=True)
"""


def start_writer(ledger: LocalLedger, name: str, count: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, ledger.directory, name, count]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)


def test_many_processes_at_once_make_one_chain_even_when_one_is_killed(ledger: LocalLedger) -> None:
    endless = start_writer(ledger, "killed", "endless")
    writers = [start_writer(ledger, str(number), "40") for number in range(2)]
    assert endless.stdout
    acknowledged = [endless.stdout.readline().strip() for _ in range(20)]
    endless.kill()
    for process in (endless, *writers):
        process.communicate(timeout=60)
    ledger.append(event("After."))

    assert [process.returncode for process in writers] == [0] * 2
    assert report(ledger).unbroken
    for number in range(2):
        written = [record.event.sentence for record in ledger.records(str(number))]
        assert written == [str(step) for step in range(40)]
    survived = [record.event.sentence for record in ledger.records("killed")]
    assert survived[:20] == acknowledged


def test_many_threads_at_once_make_one_chain(ledger: LocalLedger) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: ledger.append(event(str(number))), range(60)))
    assert report(ledger).unbroken
    assert report(ledger).records == 60


def test_a_reader_never_sees_half_a_line(ledger: LocalLedger) -> None:
    filled(ledger, 2)
    with file(ledger).open("ab") as stream:
        stream.write(b'{"seq":3,"at"')
    assert [record.seq for record in ledger.records()] == [1, 2]


def test_a_torn_line_is_set_aside_and_told(ledger: LocalLedger, caplog: pytest.LogCaptureFixture) -> None:
    filled(ledger, 2)
    with file(ledger).open("ab") as stream:
        stream.write(b'{"seq":3,"at"')
    assert "unfinished (13 bytes)" in ledger.evidence().oddities[0]

    record = ledger.append(event("After."))

    assert [one.event.kind for one in ledger.records()][2:] == [EventKind.LEDGER_MENDED, EventKind.STARTED]
    assert record.seq == 4
    assert report(ledger).unbroken
    [aside] = Path(ledger.directory).glob("torn-*")
    assert aside.read_bytes() == b'{"seq":3,"at"'
    assert "13 bytes of an unfinished line were set aside" in caplog.text


def test_a_whole_record_without_its_line_end_is_kept(ledger: LocalLedger) -> None:
    filled(ledger, 2)
    third = filled(ledger, 1)[0]
    os.truncate(file(ledger), file(ledger).stat().st_size - 1)
    ledger.append(event("After."))
    assert list(ledger.records())[2] == third
    assert report(ledger).unbroken


@pytest.mark.parametrize("cut", [1, 2, 40, 150])
def test_a_writer_that_died_anywhere_in_its_line_breaks_nothing(ledger: LocalLedger, cut: int) -> None:
    filled(ledger, 2)
    kept, head = file(ledger).read_bytes(), head_file(ledger).read_bytes()
    filled(ledger, 1)
    file(ledger).write_bytes(kept + file(ledger).read_bytes()[len(kept) : -cut])
    head_file(ledger).write_bytes(head)  # the head is written after the line
    ledger.append(event("After."))
    assert report(ledger).unbroken


def test_a_writer_that_died_before_the_head_breaks_nothing(ledger: LocalLedger) -> None:
    filled(ledger, 2)
    before = head_file(ledger).read_bytes()
    filled(ledger, 1)
    head_file(ledger).write_bytes(before)
    assert report(ledger).unbroken
    assert "writer died" in report(ledger).notes[0]
    filled(ledger, 1)
    assert report(ledger).notes == ()


def test_a_removed_end_stays_visible_after_further_records(ledger: LocalLedger) -> None:
    filled(ledger, 3)
    lines = file(ledger).read_bytes().splitlines(keepends=True)
    file(ledger).write_bytes(b"".join(lines[:-1]))
    assert [fault.damage for fault in report(ledger).faults] == [Damage.REMOVED]

    assert ledger.append(event("After.")).seq == 4
    assert [(fault.damage, fault.seq) for fault in report(ledger).faults] == [(Damage.REMOVED, 3)]


def test_a_rewritten_end_stays_visible_after_further_records(ledger: LocalLedger) -> None:
    filled(ledger, 2)
    other = LocalLedger(directory=f"{ledger.directory}-other")
    filled(other, 1)
    forged = other.append(event("All is well."), NOON)
    lines = file(ledger).read_bytes().splitlines(keepends=True)
    file(ledger).write_bytes(lines[0] + f"{forged.line}\n".encode())
    ledger.append(event("After."))
    assert [(fault.damage, fault.seq) for fault in report(ledger).faults] == [(Damage.CHANGED, 2)]


def test_a_removed_head_is_a_fault_and_is_told_by_the_next_record(ledger: LocalLedger) -> None:
    filled(ledger, 2)
    head_file(ledger).unlink()
    assert [fault.damage for fault in report(ledger).faults] == [Damage.UNANCHORED]
    ledger.append(event("After."))
    assert "head.json was missing" in list(ledger.records())[2].event.sentence


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"seq": "2"}', '{"seq": "2", "hash": "x"}', '{"seq": 1, "hash": 1}']
)
def test_a_spoilt_head_blocks_nobody(ledger: LocalLedger, content: str) -> None:
    filled(ledger, 2)
    head_file(ledger).write_text(content)
    assert ledger.append(event("After.")).seq == 4


def test_a_spoilt_line_is_skipped_and_logged(ledger: LocalLedger, caplog: pytest.LogCaptureFixture) -> None:
    filled(ledger, 3)
    lines = file(ledger).read_bytes().splitlines(keepends=True)
    file(ledger).write_bytes(lines[0] + b"\xff nonsense\n" + lines[2])
    assert [record.seq for record in ledger.records()] == [1, 3]
    assert "Line 2" in caplog.text


def test_a_spoilt_last_line_blocks_nobody(ledger: LocalLedger) -> None:
    filled(ledger, 3)
    lines = file(ledger).read_bytes().splitlines(keepends=True)
    file(ledger).write_bytes(b"".join(lines[:2]) + b"nonsense\n")
    assert ledger.append(event("After.")).seq == 4
    assert {fault.damage for fault in report(ledger).faults} == {Damage.MALFORMED, Damage.REMOVED}


def test_a_hash_noted_before_a_wholesale_rewrite_proves_it(ledger: LocalLedger) -> None:
    noted = filled(ledger, 3)[-1].hash
    file(ledger).unlink()
    head_file(ledger).unlink()
    filled(ledger, 2)
    assert report(ledger).unbroken
    assert not report(ledger, noted).unbroken


def test_a_folder_that_cannot_be_made_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Outage, match="The ledger did not answer while appending"):
        LocalLedger(directory=str(tmp_path / "file" / "ledger")).append(event())


def test_the_head_is_two_fields_of_json(ledger: LocalLedger) -> None:
    [record] = filled(ledger, 1)
    assert json.loads(head_file(ledger).read_text()) == {"seq": 1, "hash": record.hash}


def test_the_home_folder_may_be_written_as_a_tilde() -> None:
    tilde: Callable[[], Path] = LocalLedger(directory="~/ledger")._folder
    assert tilde() == Path.home() / "ledger"
