"""Proves that nobody has touched an evidence bundle. Needs Python 3.9 or newer and nothing else; asks no network.

    python check.py [FOLDER or FILE.zip] [--expect HASH]

Without FOLDER it looks at the folder in which it lies. HASH is that of a record which somebody noted when the bundle
was made, or of a later run's page: with it even a bundle that was made up from end to end is found out.
Exit code 0: everything is as it was written; 1: something was changed, and this names the file and the line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path

SUMS, CHAIN, RUN = "SHA256SUMS", "chain.jsonl", "run.json"
FILES = {"README.txt", "check.py", CHAIN, "page.html", "page.md", RUN}


class Touched(Exception):
    """What was changed, as a sentence."""


def main(arguments: list[str] | None = None) -> int:
    options = read_options(arguments)
    try:
        for line in proved(open_bundle(options.bundle), options.expect):
            print(line)
    except Touched as found:
        print(f"CHANGED: {found}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as trouble:
        print(f"CHANGED: the bundle cannot be read as it was written: {type(trouble).__name__}: {trouble}")
        return 1
    return 0


def proved(bundle, expected):  # noqa: ANN001, ANN201 - a folder, or what looks like one inside of a zip file
    """What is proved, as sentences. Raises Touched."""
    check_sums(bundle)
    records = [check_line(number, line) for number, line in enumerate(lines_of(bundle / CHAIN), start=1)]
    check_chain(records)
    told = json.loads((bundle / RUN).read_text(encoding="utf-8"))
    check_run(told, records)
    first, last = records[0], records[-1]
    yield f"All {len(FILES)} files are as {SUMS} says."
    yield f"Records {first['seq']} to {last['seq']} of the ledger are complete, in order, and as they were written."
    yield f"{len(told['records'])} of them are of run {told['run_id']}, and {RUN} has just these."
    yield f"The chain ends at record {last['seq']}, {last['hash']}"
    yield from check_expected(records, expected)


def check_sums(bundle) -> None:  # noqa: ANN001 - as above
    sums = {}
    for line in (bundle / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    if set(sums) != FILES:
        raise Touched(f"{SUMS} names {sorted(sums)}; a bundle has {sorted(FILES)}.")
    for name, digest in sorted(sums.items()):
        if hashlib.sha256((bundle / name).read_bytes()).hexdigest() != digest:
            raise Touched(f"{name} is not as {SUMS} says.{where(bundle, name)}")


def where(bundle, name) -> str:  # noqa: ANN001 - as above
    """Which line of the chain it is, if it is one."""
    if name == CHAIN:
        check_chain([check_line(number, line) for number, line in enumerate(lines_of(bundle / CHAIN), start=1)])
    return ""


def lines_of(file) -> list:  # noqa: ANN001 - as above
    text = file.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise Touched(f"{CHAIN}: its last line was cut off.")
    return text[:-1].split("\n")


def check_line(number: int, line: str) -> dict:
    """The record of a line, which must be written as we write it and carry the hash of its content."""
    try:
        record = json.loads(line)
        sealed = canonical({name: value for name, value in record.items() if name != "hash"})
        faithful = canonical(record) == line and type(record["seq"]) is int
    except (ValueError, AttributeError, KeyError, RecursionError):
        raise Touched(f"{CHAIN} line {number} is no record.") from None
    if not faithful:
        raise Touched(f"{CHAIN} line {number} is not written as a ledger writes it.")
    if hashlib.sha256(sealed.encode()).hexdigest() != record["hash"]:
        raise Touched(f"{CHAIN} line {number} (record {record['seq']}): its content and its hash disagree.")
    return record


def check_chain(records) -> None:  # noqa: ANN001 - dictionaries from JSON
    for number, (before, record) in enumerate(zip(records, records[1:]), start=2):
        if record["seq"] != before["seq"] + 1:
            raise Touched(f"{CHAIN} line {number}: record {record['seq']} stands after record {before['seq']}.")
        if record["previous"] != before["hash"]:
            raise Touched(f"{CHAIN} line {number} (record {record['seq']}) was chained to another record.")


def check_run(told: dict, records) -> None:  # noqa: ANN001 - as above
    """The run's records are in the chain, all of them, and the chain ends with the run."""
    mine = [record for record in records if record["run_id"] == told["run_id"]]
    for number, (said, chained) in enumerate(zip(told["records"], mine), start=1):
        if canonical(said) != canonical(chained):
            raise Touched(f"{RUN}: its record number {number} is not record {chained['seq']} of the chain.")
    if len(mine) != len(told["records"]):
        raise Touched(f"{RUN} has {len(told['records'])} records of the run, the chain has {len(mine)}.")
    last = records[-1]
    if told["head"] != {"seq": last["seq"], "hash": last["hash"]}:
        raise Touched(f"{RUN} says that the chain ends at another record than {last['seq']}, {last['hash']}.")


def check_expected(records, expected: str):  # noqa: ANN001, ANN201 - as above
    if not expected:
        yield "Compare that hash with one that was noted elsewhere, or give it: --expect HASH. Only that proves that"
        yield "the whole bundle was not made up: whoever makes up all of it can make up its hashes, too."
        return
    found = next((record for record in records if record["hash"] == expected), None)
    if found is None:
        raise Touched(f"no record of {CHAIN} has the expected hash {expected}.")
    yield f"Record {found['seq']} has the expected hash: nothing up to there was changed since that was noted."


def canonical(value) -> str:  # noqa: ANN001 - JSON
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def open_bundle(place: str):  # noqa: ANN201 - a folder, or what looks like one inside of a zip file
    path = Path(place)
    return zipfile.Path(place) if path.is_file() else path


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Proves that nobody has touched an evidence bundle.")
    here = str(Path(__file__).resolve().parent)
    parser.add_argument("bundle", nargs="?", default=here, help="its folder or zip file (default: where this lies)")
    parser.add_argument("--expect", default="", metavar="HASH", help="hash of a record, noted elsewhere")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
