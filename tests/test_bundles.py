"""An evidence bundle is checked offline by its own few lines; whatever was touched is found, and named."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_story import OTHER, TO_PRODUCTION, events, ledger_of

from deployments.bundle_check import CHAIN, FILES, RUN, SUMS, main
from deployments.bundles import BrokenLedger, make_bundle
from rules.errors import InvalidInput
from rules.records import Event, EventKind, Record, chain

Captured = pytest.CaptureFixture[str]
Lines = list[str]
RECORDS = ledger_of(events())
LINES = [record.line for record in RECORDS]
BUNDLE = make_bundle(LINES, TO_PRODUCTION, "batbern")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    file = tmp_path / "evidence.zip"
    file.write_bytes(BUNDLE.content)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "evidence")
    return tmp_path / "evidence"


def resealed(folder: Path) -> None:
    """What somebody does who knows how a bundle is made: the sums agree again."""
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (folder / SUMS).write_text("".join(sums))


def said(folder: Path, capsys: Captured, *arguments: str) -> tuple[int, str]:
    code = main([str(folder), *arguments])
    return code, capsys.readouterr().out


def in_chain(folder: Path, change: Callable[[Lines], Lines]) -> None:
    lines = (folder / CHAIN).read_text().splitlines()
    (folder / CHAIN).write_text("".join(f"{line}\n" for line in change(lines)))


def test_check_py_proves_an_untouched_bundle_without_us(folder: Path) -> None:
    command = [sys.executable, "-I", "-S", "check.py"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Records 2 to 29 of the ledger are all there, in order, as written." in answer.stdout
    assert f"23 of them are of run {TO_PRODUCTION}" in answer.stdout
    assert f"The chain ends at record 29, {RECORDS[28].hash}" in answer.stdout
    assert f"The bundle's seal is {BUNDLE.seal}" in answer.stdout


def test_the_zip_file_itself_can_be_checked(folder: Path, capsys: Captured) -> None:
    code, told = said(folder.parent / "evidence.zip", capsys, "--expect", BUNDLE.seal)
    assert code == 0
    assert "Nothing in the whole bundle was changed" in told


def test_sha256sum_agrees(folder: Path) -> None:
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", SUMS], cwd=folder, check=True, timeout=60, capture_output=True)  # noqa: S607 - found above


@pytest.mark.parametrize("name", [*FILES, SUMS])
def test_one_changed_byte_in_any_file_is_found(folder: Path, capsys: Captured, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    code, told = said(folder, capsys)
    assert code == 1
    assert told.startswith("CHANGED: ")
    assert name in told or name == SUMS or "cannot be read" in told


@pytest.mark.parametrize("name", [*FILES, SUMS])
def test_a_missing_file_is_found(folder: Path, capsys: Captured, name: str) -> None:
    (folder / name).unlink()
    assert said(folder, capsys) == (1, f"CHANGED: {name} is missing.\n")


def test_a_file_that_was_put_in_is_named_as_not_proved(folder: Path, capsys: Captured) -> None:
    (folder / "approval.pdf").write_text("signed")
    code, told = said(folder, capsys)
    assert code == 0
    assert "NOT PROVED, because no part of the bundle: approval.pdf." in told


def swapped(lines: Lines) -> Lines:
    return [lines[1], lines[0], *lines[2:]]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda lines: [lines[0].replace("maria", "mario"), *lines[1:]], ""),
        (
            lambda lines: [*lines[:4], lines[4].replace("maria.muster", "mario.muster"), *lines[5:]],
            "line 5 (record 6): ",
        ),
        (lambda lines: [*lines[:7], *lines[8:]], "line 8: record 10 stands after record 8"),
        (lambda lines: [*lines[:7], lines[6], *lines[7:]], "line 8: record 8 stands after record 8"),
        (swapped, "line 2: record 2 stands after record 3"),
        (lambda lines: [*lines[:3], "{}", *lines[4:]], "line 4 is no record"),
        (lambda lines: [*lines[:3], lines[3] + " ", *lines[4:]], "line 4 is not written as a ledger writes it"),
        (lambda lines: lines[:-1], "run.json has 23 records of the run, chain.jsonl has 22"),
        (lambda lines: lines[3:], None),
        (lambda _lines: [], "was cut off"),
    ],
)
def test_whoever_touches_the_chain_is_found_out_line_by_line_even_with_new_sums(
    folder: Path, capsys: Captured, change: Callable[[Lines], Lines], found: str | None
) -> None:
    in_chain(folder, change)
    resealed(folder)
    code, told = said(folder, capsys)
    if found:
        assert code == 1
        assert found in told
    else:  # nothing was changed, or the beginning was left out: then what is left is still what was written
        assert code == 0


def forged(records: list[Record]) -> list[Record]:
    """The whole chain made anew around one other word: it agrees with itself."""
    made: list[Record] = []
    for record in records:
        it = record.event
        sentence = it.sentence.replace("Approved by anna and reto", "Approved by anna and mallory")
        event = Event(it.run_id, it.plan_hash, it.environment, it.kind, sentence, it.details)
        made.append(chain(made[-1] if made else None, event, record.at))
    return made


def test_a_bundle_that_was_made_up_from_end_to_end_is_found_out_by_a_hash_noted_elsewhere(
    tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "forged.zip"
    file.write_bytes(make_bundle([it.line for it in forged(RECORDS)], TO_PRODUCTION, "batbern").content)
    assert said(file, capsys)[0] == 0
    for noted in (RECORDS[28].hash, RECORDS[20].hash, BUNDLE.seal):
        code, told = said(file, capsys, "--expect", noted)
        assert code == 1
        assert f"the expected hash {noted}" in told


def test_a_page_that_was_changed_with_its_sum_is_found_out_by_the_seal(folder: Path, capsys: Captured) -> None:
    page = folder / "page.html"
    page.write_text(page.read_text().replace("anna", "mallory"))
    resealed(folder)
    assert said(folder, capsys)[0] == 0
    assert said(folder, capsys, "--expect", BUNDLE.seal)[0] == 1


def test_a_record_of_the_run_that_only_run_json_tells_otherwise_is_found(folder: Path, capsys: Captured) -> None:
    told = json.loads((folder / RUN).read_text())
    told["records"][3]["sentence"] = "Nobody was asked."
    (folder / RUN).write_text(json.dumps(told))
    resealed(folder)
    assert "record 4 of the run is not record 9" in said(folder, capsys)[1]


def test_a_record_that_run_json_leaves_out_is_found(folder: Path, capsys: Captured) -> None:
    told = json.loads((folder / RUN).read_text())
    told["records"] = told["records"][:-2]
    (folder / RUN).write_text(json.dumps(told))
    resealed(folder)
    assert "has 21 records of the run, chain.jsonl has 23" in said(folder, capsys)[1]


def test_a_hash_of_a_record_proves_what_stands_before_it(folder: Path, capsys: Captured) -> None:
    code, told = said(folder, capsys, "--expect", RECORDS[28].hash)
    assert code == 0
    assert "Nothing up to record 29 was changed" in told


def test_a_zip_file_with_two_files_of_one_name_is_not_believed(folder: Path, capsys: Captured) -> None:
    file = folder.parent / "evidence.zip"
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("page.html", "another page")
    assert said(file, capsys) == (1, "CHANGED: evidence.zip has two files of one name.\n")


def test_what_is_no_bundle_is_told(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "some.zip").write_text("no zip file")
    for place in (tmp_path / "some.zip", tmp_path / "nowhere", tmp_path):
        code, told = said(place, capsys)
        assert code == 1
        assert told.startswith("CHANGED: ")


def test_the_same_records_give_the_same_bytes() -> None:
    assert make_bundle(list(LINES), TO_PRODUCTION, "batbern").content == BUNDLE.content


def test_what_others_do_later_changes_nothing_in_a_bundle() -> None:
    later = chain(RECORDS[-1], Event("run-later", "", "dev", EventKind.STARTED, "Later."), RECORDS[-1].at)
    assert make_bundle([*LINES, later.line], TO_PRODUCTION, "batbern").content == BUNDLE.content


def test_a_bundle_has_no_older_and_no_later_records_of_others(folder: Path) -> None:
    chained = [json.loads(line) for line in (folder / CHAIN).read_text().splitlines()]
    assert [it["seq"] for it in chained] == list(range(2, 30))
    assert "of nobody's business here" not in (folder / CHAIN).read_text()
    assert OTHER in {it["run_id"] for it in chained}


def test_the_readme_says_what_to_do(folder: Path) -> None:
    told = (folder / "README.txt").read_text()
    assert "python check.py" in told
    assert RECORDS[28].hash in told
    assert "batbern 3f2a1bc staging → production succeeded" in told


@pytest.mark.parametrize("at", [5, 12, 28])
def test_no_bundle_is_made_of_a_broken_piece_of_the_ledger(at: int) -> None:
    changed = [*LINES[:at], LINES[at].replace("sentence", "sentences"), *LINES[at + 1 :]]
    missing = [*LINES[:at], *LINES[at + 1 :]]
    for lines in (changed, *([missing] if at < 28 else [])):
        with pytest.raises(BrokenLedger, match="the ledger is broken"):
            make_bundle(lines, TO_PRODUCTION)


def test_a_fault_elsewhere_in_the_ledger_keeps_nobody_from_a_bundle() -> None:
    assert make_bundle(["no record", *LINES[1:]], TO_PRODUCTION, "batbern").content == BUNDLE.content


def test_a_run_that_nobody_knows_has_no_bundle() -> None:
    with pytest.raises(InvalidInput, match="the run"):
        make_bundle(LINES, "nobody")
