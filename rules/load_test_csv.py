"""`--out csv=`: every sample in a row. The columns follow the script's `systemTags`: they are found by their names."""

import csv
from collections.abc import Iterable, Iterator, Mapping

from rules.errors import InvalidInput
from rules.load_test_points import NEEDED, Samples, is_sample
from rules.load_test_results import Format, LoadTestResult

METRIC, TIME, VALUE = "metric_name", "timestamp", "metric_value"
NEEDED_COLUMNS = frozenset({METRIC, TIME, VALUE})
TAG_COLUMNS = ("scenario", "name", "release")
OTHER_TAGS = "extra_tags"
RELEASE = "release="


def is_header(line: bytes) -> bool:
    columns = line.strip().split(b",")
    return {name.encode() for name in NEEDED_COLUMNS} <= {it.strip(b'"') for it in columns}


def read_csv(lines: Iterable[bytes], problems: list[str]) -> LoadTestResult:
    """Counts the samples. A row that is none is a problem. InvalidInput: the file is not CSV in UTF-8."""
    samples = Samples(Format.CSV, problems)
    rows = csv.reader(_decoded(lines))
    unread: list[int] = []
    unread_count = row_number = 0
    try:
        header = next(rows)
        for row_number, row in enumerate(rows, start=1):
            if row and not _count(samples, header, row):
                unread, unread_count = [*unread[:1], row_number], unread_count + 1
    except (csv.Error, StopIteration) as error:
        raise InvalidInput("The load test's result", f"a CSV file that breaks off ({error})", "a whole one") from error
    if unread_count == 1 and unread[-1] == row_number:
        problems.append(f"Its last row ({row_number}) is cut off: k6 did not end by itself.")
    elif unread_count:
        problems.append(f"It has {unread_count} rows that are no sample of k6, the first is row {unread[0]}.")
    return samples.result()


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for line in lines:
        try:
            yield f"{line.decode()}\n"
        except UnicodeDecodeError as error:
            raise InvalidInput("The load test's result", "a text that is not UTF-8", "CSV in UTF-8") from error


def _count(samples: Samples, header: list[str], row: list[str]) -> bool:
    """Whether the row was a sample, which is counted if it is needed."""
    if len(row) != len(header):
        return False
    cells = dict(zip(header, row, strict=True))
    if cells[METRIC] not in NEEDED:
        return bool(cells[METRIC])
    value = _number(cells[VALUE])
    if value is None:
        return False
    samples.at(cells[TIME])
    samples.count(samples.these(_tags(cells)), cells[METRIC], value)
    return True


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if is_sample(value) else None


def _tags(cells: Mapping[str, str]) -> dict[str, object]:
    """Those that count here. A tag of the script's own stands in the column of the other tags, as `k=v&k=v`."""
    tags: dict[str, object] = {name: cells[name] for name in TAG_COLUMNS if cells.get(name)}
    other = cells.get(OTHER_TAGS, "")
    if RELEASE in other:
        tags["release"] = next((it.removeprefix(RELEASE) for it in other.split("&") if it.startswith(RELEASE)), "")
    return tags
