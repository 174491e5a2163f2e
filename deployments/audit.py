"""Reads the ledger: what was done, by which run, and whether anybody has touched the record of it.

    python -m deployments.audit show [RUN]              the story of one run, or of all
    python -m deployments.audit verify [--expect HASH]  proves the ledger unbroken, or names what is wrong
    python -m deployments.audit export RUN              one run as JSON, with the proof
    python -m deployments.audit bundle RUN [--output FILE.zip]
                                                        one run as a page, with all that an auditor needs to check it
                                                        offline; instead of RUN: --version SHA [--environment NAME],
                                                        the last promotion of it that was completed

RUN is a run's id or its beginning. The ledger is the one registered for `--application NAME` (default: that of
deployments/catalogue.toml), or with `--directory FOLDER` a local one, for which no Prefect server is needed.
Exit code 0: done, unbroken; 1: the ledger is broken; 2: called wrongly, no such run, or no such ledger.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blocks.catalogue import PROJECT, load_catalogue
from blocks.ledger import Ledger, LocalLedger, open_ledger
from deployments.bundles import BrokenLedger, make_bundle
from rules.dossiers import find_run
from rules.errors import InvalidInput, PromotionError
from rules.records import Record, narrate
from rules.verification import VerificationReport, verify

DONE, BROKEN, NOT_DONE = 0, 1, 2
HASH_DIGITS = 64
CATALOGUE = PROJECT / "deployments" / "catalogue.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        return int(options.command(_ledger(options), options))
    except BrokenLedger as error:
        print(error, file=sys.stderr)
        return BROKEN
    except PromotionError as error:
        print(error, file=sys.stderr)
        return NOT_DONE


def show(ledger: Ledger, options: argparse.Namespace) -> int:
    records = _records_of(ledger, options.run) if options.run else list(ledger.records())
    lines = narrate(records)
    print("\n".join(lines) if lines else "Nothing is recorded yet.")
    return DONE


def check(ledger: Ledger, options: argparse.Namespace) -> int:
    report, oddities = _verified(ledger, options.expect or "")
    for fault in report.faults:
        print(f"{fault.damage.upper()}: {fault.sentence}")
    for note in (*oddities, *report.notes):
        print(f"Note: {note}")
    print(_summary(report))
    return DONE if report.unbroken else BROKEN


def export(ledger: Ledger, options: argparse.Namespace) -> int:
    records = _records_of(ledger, options.run)
    report, oddities = _verified(ledger, "")
    print(json.dumps(_proof(records, report, oddities), indent=2))
    return DONE if report.unbroken else BROKEN


def bundle(ledger: Ledger, options: argparse.Namespace) -> int:
    evidence = ledger.evidence()
    run_id = _wanted(ledger, options)
    made = make_bundle(evidence.lines, run_id, "" if options.directory else _application(options))
    place = Path(options.output or f"evidence-{run_id}.zip")
    try:
        place.write_bytes(made.content)
    except OSError as error:
        raise InvalidInput("the bundle's file", str(place), f"one that can be written ({error})") from error
    print(f"{place}: run {run_id}, up to record {made.last.seq}, {made.last.hash}")
    print(f"Its seal is {made.seal}\nKeep the two somewhere else; check.py --expect proves the bundle with them.")
    return _elsewhere(verify(evidence.lines, evidence.head))


def _wanted(ledger: Ledger, options: argparse.Namespace) -> str:
    """The run's whole id."""
    if options.version:
        return find_run(ledger.records(), options.version, options.environment or "")
    return _records_of(ledger, options.run)[0].event.run_id


def _elsewhere(report: VerificationReport) -> int:
    """The bundle is whole; whether the ledger is."""
    for fault in report.faults:
        print(f"Note: elsewhere in the ledger: {fault.damage.upper()}: {fault.sentence}")
    return DONE if report.unbroken else BROKEN


def _verified(ledger: Ledger, expected: str) -> tuple[VerificationReport, tuple[str, ...]]:
    evidence = ledger.evidence()
    return verify(evidence.lines, evidence.head, expected), evidence.oddities


def _summary(report: VerificationReport) -> str:
    if not report.unbroken:
        return f"BROKEN: {len(report.faults)} faults in {report.records} records."
    if not report.records:
        return "Unbroken: nothing is recorded yet."
    return (
        f"Unbroken: {report.records} records. The last is record {report.head.seq}, {report.head.hash}\n"
        "Keep this hash somewhere else; `verify --expect` proves with it later that nothing before it was changed."
    )


def _proof(records: Sequence[Record], report: VerificationReport, oddities: Sequence[str]) -> dict[str, Any]:
    return {
        "run_id": records[0].event.run_id,
        "unbroken": report.unbroken,
        "faults": [fault.sentence for fault in report.faults],
        "notes": [*oddities, *report.notes],
        "ledger": {"records": report.records, "head": asdict(report.head)},
        "story": narrate(records),
        "records": [json.loads(record.line) for record in records],
    }


def _records_of(ledger: Ledger, wanted: str) -> list[Record]:
    """The records of the run whose id is, or alone begins, so."""
    runs: dict[str, list[Record]] = {}
    for record in ledger.records():
        if record.event.run_id.startswith(wanted):
            runs.setdefault(record.event.run_id, []).append(record)
    if wanted in runs:
        return runs[wanted]
    if len(runs) != 1:
        found = f"the beginning of {', '.join(runs)}" if runs else "of no run in the ledger"
        raise InvalidInput("the run", wanted, f"the id of one recorded run; this is {found}")
    return next(iter(runs.values()))


def _ledger(options: argparse.Namespace) -> Ledger:
    if options.directory:
        if not Path(options.directory).expanduser().is_dir():
            raise InvalidInput("the ledger's folder", options.directory, "a folder that is there")
        return LocalLedger(directory=options.directory)
    return open_ledger(_application(options))


def _application(options: argparse.Namespace) -> str:
    return str(options.application or load_catalogue(CATALOGUE).application)


def _hash(text: str) -> str:
    if len(text) != HASH_DIGITS or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is no hash: 64 of 0-9 and a-f")
    return text


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.audit", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="show | verify | export | bundle")
    showing = _command(commands, "show", show, "the story of one run, or of all")
    showing.add_argument("run", nargs="?", help="a run's id, or its beginning")
    verifying = _command(commands, "verify", check, "prove the ledger unbroken, or name what is wrong")
    verifying.add_argument("--expect", type=_hash, metavar="HASH", help="a record's hash noted earlier")
    exporting = _command(commands, "export", export, "one run as JSON, with the proof")
    exporting.add_argument("run", help="a run's id, or its beginning")
    _bundle_options(_command(commands, "bundle", bundle, "one run for an auditor, to check offline"))
    return parser.parse_args(arguments)


def _bundle_options(bundling: argparse.ArgumentParser) -> None:
    which = bundling.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", help="a run's id, or its beginning")
    which.add_argument("--version", metavar="SHA", help="the last completed promotion of this version")
    bundling.add_argument("--environment", metavar="NAME", help="with --version: to this environment")
    bundling.add_argument("--output", metavar="FILE.zip", help="where to write it (default: evidence-RUN.zip)")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[Ledger, argparse.Namespace], int],
    purpose: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose, description=purpose)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--application", help="whose registered ledger (default: that of the shipped catalogue)")
    place.add_argument("--directory", help="the folder of a local ledger")
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
