"""Proves that nobody has touched an evidence bundle. Needs Python 3.10 or newer and nothing else; asks no network.

    python check.py [FOLDER or FILE.zip] [--expect HASH]

Without FOLDER it looks at the folder in which it lies. HASH was noted elsewhere: a record's, or the seal that was
printed when the bundle was made. Only with it a bundle is found out that somebody made up from end to end.
Exit code 0: everything is as it was written; 1: something was changed, and this names the file and the line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUMS, CHAIN, RUN = "SHA256SUMS", "chain.jsonl", "run.json"
FILES = ("README.txt", "chain.jsonl", "check.py", "page.html", "page.md", "run.json")


class Touched(Exception):
    """What was changed, as a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_options(arguments)
    try:
        for sentence in proved(read_bundle(options.bundle), options.expect or []):
            print(sentence)
    except Touched as found:
        print(f"CHANGED: {found}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as trouble:
        print(f"CHANGED: it cannot be read as it was written ({type(trouble).__name__}: {trouble})")
        return 1
    return 0


def read_bundle(place: str) -> dict[str, bytes]:
    """All files by name, from a folder or from a zip file."""
    path = Path(place)
    if path.is_dir():
        return {it.name: it.read_bytes() for it in sorted(path.iterdir()) if it.is_file()}
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != len(set(names)):
            raise Touched(f"{path.name} has two files of one name.")
        return {name: archive.read(name) for name in names}


def proved(files: Mapping[str, bytes], expected: Sequence[str]) -> Iterator[str]:
    """What is proved, as sentences. Raises Touched."""
    missing = [name for name in (SUMS, *FILES) if name not in files]
    if missing:
        raise Touched(f"{', '.join(missing)} is missing.")
    records = read_chain(files[CHAIN].decode())
    told = json.loads(files[RUN])
    check_run(told, records)
    check_sums(files)
    yield f"The {len(FILES)} files are as {SUMS} has them."
    strangers = sorted(set(files) - {SUMS, *FILES})
    if strangers:
        yield f"NOT PROVED, because no part of the bundle: {', '.join(strangers)}."
    yield f"Records {records[0]['seq']} to {records[-1]['seq']} of the ledger are all there, in order, as written."
    yield f"{len(told['records'])} of them are of run {told['run_id']}; {RUN} has just these."
    yield f"The chain ends at record {records[-1]['seq']}, {records[-1]['hash']}"
    yield from compare(records, hashlib.sha256(files[SUMS]).hexdigest(), expected)


def read_chain(text: str) -> list[dict[str, Any]]:
    """The records, oldest first, each of which carries the hash of the one before it."""
    lines = text.split("\n")
    if lines.pop() or not lines:
        raise Touched(f"{CHAIN} was cut off at its end.")
    records = [read_record(number, line) for number, line in enumerate(lines, start=1)]
    for number, (before, record) in enumerate(pairwise(records), start=2):
        if record["seq"] != before["seq"] + 1:
            raise Touched(f"{CHAIN} line {number}: record {record['seq']} stands after record {before['seq']}.")
        if record["previous"] != before["hash"]:
            raise Touched(f"{CHAIN} line {number} (record {record['seq']}) was chained to another record.")
    return records


def read_record(number: int, line: str) -> dict[str, Any]:
    """A record, written as a ledger writes it, with the hash of its content."""
    try:
        record: dict[str, Any] = json.loads(line)
        sealed = canonical({name: value for name, value in record.items() if name != "hash"})
        faithful = canonical(record) == line and type(record["seq"]) is int
    except (ValueError, AttributeError, KeyError, RecursionError):
        raise Touched(f"{CHAIN} line {number} is no record.") from None
    if not faithful:
        raise Touched(f"{CHAIN} line {number} is not written as a ledger writes it.")
    if hashlib.sha256(sealed.encode()).hexdigest() != record["hash"]:
        raise Touched(f"{CHAIN} line {number} (record {record['seq']}): its content and its hash disagree.")
    return record


def check_run(told: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> None:
    """The run's records are those of the chain, all of them, and the chain ends with the run."""
    mine = [record for record in records if record["run_id"] == told["run_id"]]
    for number, (said, chained) in enumerate(zip(told["records"], mine, strict=False), start=1):
        if canonical(said) != canonical(chained):
            raise Touched(f"{RUN}: record {number} of the run is not record {chained['seq']} of {CHAIN}.")
    if len(mine) != len(told["records"]):
        raise Touched(f"{RUN} has {len(told['records'])} records of the run, {CHAIN} has {len(mine)}.")
    last = records[-1]
    if told["head"] != {"seq": last["seq"], "hash": last["hash"]}:
        raise Touched(f"{RUN} says that {CHAIN} ends elsewhere than at record {last['seq']}, {last['hash']}.")


def check_sums(files: Mapping[str, bytes]) -> None:
    """Each file has the sum that was written down for it. `sha256sum -c SHA256SUMS` says the same."""
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in files[SUMS].decode().splitlines())}
    if sorted(sums) != sorted(FILES):
        raise Touched(f"{SUMS} names {', '.join(sums)}; the files of a bundle are {', '.join(FILES)}.")
    for name in FILES:
        if hashlib.sha256(files[name]).hexdigest() != sums[name]:
            raise Touched(f"{name} is not as {SUMS} has it.")


def compare(records: Sequence[Mapping[str, Any]], seal: str, expected: Sequence[str]) -> Iterator[str]:
    """What hashes prove that were noted elsewhere; without one, what they would prove."""
    yield f"The bundle's seal is {seal}"
    if not expected:
        yield "Whoever makes up a whole bundle makes up its hashes, too. So compare the seal, or a record's hash,"
        yield "with what was noted elsewhere, or let this do it: --expect HASH."
    for wanted in expected:
        found = next((record for record in records if record["hash"] == wanted), None)
        if found is None and wanted != seal:
            raise Touched(f"neither a record of {CHAIN} nor the seal has the expected hash {wanted}.")
        what = f"Nothing up to record {found['seq']}" if found else "Nothing in the whole bundle"
        yield f"{what} was changed since {wanted[:12]} was noted."


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Proves that nobody has touched an evidence bundle.")
    here = str(Path(__file__).resolve().parent)
    parser.add_argument("bundle", nargs="?", default=here, help="its folder or zip file (default: where this lies)")
    parser.add_argument(
        "--expect", action="append", metavar="HASH", help="a record's hash or the seal, noted elsewhere"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
