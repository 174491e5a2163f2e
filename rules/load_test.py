"""Whether a release is quick and sound under load: the result of a k6 run, read and judged.

    result file ──read──▶ LoadTestResult ──judge, with Limits and k6's exit code──▶ Finding

The file may have any of k6's five formats, plain or gzip; which one, its first line tells. What is missing from it is
unknown, and unknown never passes. A file that is of no such format raises InvalidInput.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import orjson

from rules.errors import InvalidInput
from rules.load_test_csv import is_header, read_csv
from rules.load_test_limits import Limits, PartLimits
from rules.load_test_ndjson import is_line, read_ndjson
from rules.load_test_results import Format, Kept, LoadTestResult, Measures, Part, Threshold
from rules.load_test_streams import lines_of
from rules.load_test_summaries import KNOWN, read_summary
from rules.load_test_verdicts import GATE, judge

__all__ = [
    "GATE",
    "Format",
    "Kept",
    "Limits",
    "LoadTestResult",
    "Measures",
    "Part",
    "PartLimits",
    "Threshold",
    "judge",
    "read",
]

LARGEST_SUMMARY = 64 << 20
"""Bytes. k6's own are some kilobytes, and the text of the script."""
ANY = f"{KNOWN}, its NDJSON or its CSV; plain or gzip"


def read(lines: Iterable[bytes]) -> LoadTestResult:
    """The result that a file holds: its lines with their ends, or its bytes in pieces of any length.

    Samples (NDJSON, CSV) are counted as they come, in memory that does not grow with the file: their percentiles are
    told at most 0.5 % too high, everything else is exact. Of samples alone nobody can tell whether k6 ended by itself:
    pass its exit code to `judge`. Duration in seconds, times in milliseconds.

    InvalidInput: the file is empty, damaged, or of another format.
    """
    problems: list[str] = []
    rest = lines_of(lines, problems)
    first = next((line for line in rest if line.strip()), None)
    if first is None:
        raise InvalidInput("The load test's result", "an empty file", ANY, "Look whether k6 ran.")
    if is_header(first):
        return read_csv(chain((first,), rest), problems)
    if is_line(_parsed(first)):
        return read_ndjson(chain((first,), rest), problems)
    return read_summary(_summary(chain((first,), rest)), problems)


def _parsed(text: bytes) -> object:
    try:
        document: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return document


def _summary(lines: Iterator[bytes]) -> object:
    text = bytearray()
    for line in lines:
        text += line + b"\n"
        if len(text) > LARGEST_SUMMARY:
            raise InvalidInput("The load test's result", "a summary of more than 64 MB", ANY)
    if not text.lstrip().startswith(b"{"):
        raise InvalidInput("The load test's result", "neither JSON nor CSV", ANY)
    document = _parsed(bytes(text))
    if document is None:
        raise InvalidInput("The load test's result", "JSON that breaks off or is damaged", ANY, "Run k6 again.")
    return document
