"""Evidence bundles: what the ledger knows of one run, as a zip file that an auditor checks without us.

    page.html, page.md   for people
    run.json             the run's records
    chain.jsonl          the ledger from the first record that the page tells of to the run's last
    check.py             proves it: see deployments/bundle_check.py
    SHA256SUMS           of all files; its own hash is the bundle's seal

The hash of a record covers its content and the hash before it, so nobody can be shown the order of some records
without the content of all between them: `chain.jsonl` has those, too, whichever runs they are of, and no more. The
same records give the same bytes: nothing is compressed, and nothing carries the time.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments import bundle_check
from rules.dossier_pages import html_page, markdown_page
from rules.dossiers import Subject, dossier, find_subject
from rules.errors import InvalidInput, PromotionError
from rules.records import Record, read
from rules.verification import Damage, verify

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can name."""
READABLE = 0o644 << 16
README = """Evidence of run {run_id}
{title}

page.html    everything that the ledger knows of this run, to read (page.md: the same as Markdown)
run.json     the run's records, as they were written while it ran
chain.jsonl  records {first} to {last} of the ledger, one a line. Each carries the hash of the one before it.
             They begin where the page's story begins, so records of other runs in between are among them:
             without them nobody could prove that nothing was taken out.
check.py     proves it. Python 3.10 or newer, no network, nothing to install:

    python check.py

It says CHANGED, names the line and ends with exit code 1 where anything was changed. You need not trust check.py:
sha256sum -c SHA256SUMS checks the files, and a record's hash is the SHA-256 of its line's JSON without the entry
"hash", with sorted keys, without spaces, in ASCII.

The chain ends at record {last}, with the hash
{hash}

A bundle that somebody made up from end to end agrees with itself. It is found out by a hash that was noted elsewhere:
the summary page of a run names one, and the seal of this bundle was printed when it was made.

    python check.py --expect HASH
"""


class BrokenLedger(PromotionError):
    """There is nothing that a bundle could prove."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(f"No bundle can be made, because the ledger is broken: {' '.join(faults)}")


@dataclass(frozen=True, slots=True)
class Bundle:
    content: bytes
    """Of the zip file."""
    seal: str
    """SHA-256 that covers every file."""
    last: Record


def make_bundle(lines: Sequence[str], run_id: str, application: str = "") -> Bundle:
    """The bundle of a run. `lines` are those of the ledger, the oldest first, without line ends.

    Raises:
        InvalidInput: the ledger has no record of the run.
        BrokenLedger: the lines that the bundle would be made of are not whole.

    """
    subject = find_subject(_readable(lines, run_id), run_id)
    chain = _piece(lines, subject)
    files = _files(subject, chain, application)
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()
    seal = hashlib.sha256(sums).hexdigest()
    return Bundle(_zipped({**files, bundle_check.SUMS: sums}), seal, subject.run[-1])


def _readable(lines: Iterable[str], run_id: str) -> list[Record]:
    """The records. A line that is none shows itself when the piece around it is verified, unless it was the run's."""
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(read(line))
        except InvalidInput:
            if run_id in line:
                raise BrokenLedger((f"Line {number} was a record of this run and is none any more.",)) from None
    return found


def _piece(lines: Sequence[str], subject: Subject) -> list[str]:
    """The lines from the subject's first record to its last, proved to be whole."""
    numbers = [_number(line) for line in lines]
    if numbers.count(subject.first) != 1 or numbers.count(subject.last) != 1:
        raise BrokenLedger(("The first or the last record of the run stands in it twice.",))
    chain = list(lines[numbers.index(subject.first) : numbers.index(subject.last) + 1])
    faults = [it.sentence for it in verify(chain, None).faults if not _begins_later(it.damage, it.seq, subject.first)]
    if faults:
        raise BrokenLedger(faults)
    return chain


def _begins_later(damage: Damage, seq: int | None, first: int) -> bool:
    """A piece lacks the records before it, which is no fault of its own."""
    return damage is Damage.REMOVED and seq == 1 and first > 1


def _number(line: str) -> int:
    try:
        return read(line).seq
    except InvalidInput:
        return 0


def _files(subject: Subject, chain: Sequence[str], application: str) -> dict[str, bytes]:
    page, last = dossier(subject, application), subject.run[-1]
    told = {
        "run_id": last.event.run_id,
        "head": {"seq": last.seq, "hash": last.hash},
        "records": [json.loads(record.line) for record in subject.run],
    }
    words = {"run_id": last.event.run_id, "title": page.title, "hash": last.hash}
    texts = {
        "README.txt": README.format(**words, first=subject.first, last=subject.last),
        "chain.jsonl": "".join(f"{line}\n" for line in chain),
        "check.py": Path(bundle_check.__file__).read_text(encoding="utf-8"),
        "page.html": html_page(page),
        "page.md": markdown_page(page),
        "run.json": json.dumps(told, indent=2, sort_keys=True) + "\n",
    }
    return {name: text.encode(errors="replace") for name, text in texts.items()}


def _zipped(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = 3, READABLE
            archive.writestr(entry, files[name])
    return held.getvalue()
