"""`--out json=`: every sample on a line, and what each metric is on a line before its first sample.

Of the samples of metrics that do not count here only the metric's name is read: that is most of the file.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeGuard

import orjson

from rules.load_test_points import NEEDED, Counted, Samples, is_sample
from rules.load_test_results import Format, Kept, LoadTestResult, Threshold

ALWAYS_THERE = "http_req_duration{expected_response:true}"
"""The one submetric that k6 keeps unasked; any other is there because of a threshold."""
MOST_THRESHOLDS = 1000
LONGEST_TEXT = 300
MOST_REMEMBERED = 5000
MOST_LEFT_OUT = 20
"""Metrics: k6 itself has about as many."""
_POINT = re.compile(
    rb'\{"metric":"(http_reqs|http_req_duration|http_req_failed|checks|dropped_iterations)","type":"Point","data":'
    rb'\{"time":"([0-9T:.Z+-]+)","value":((?:0|[1-9]\d{0,14})(?:\.\d+)?),"tags":(\{.*\})\}\}'
)
"""A sample that counts, just as k6 writes it: quicker than JSON. Whatever looks otherwise is read as JSON."""
_NAMES = {name.encode(): name for name in NEEDED}
_END = b"}}}"


def is_line(document: object) -> bool:
    return _is_map(document) and document.get("type") in ("Metric", "Point") and "metric" in document


def read_ndjson(lines: Iterable[bytes], problems: list[str]) -> LoadTestResult:
    """Counts the samples. A line that is none is a problem, and the rest is counted nevertheless."""
    reader = _Reader(problems)
    match, quick = _POINT.fullmatch, reader.quick
    for number, line in enumerate(lines, start=1):
        if line.startswith(reader.left_out) and line.endswith(_END):
            continue
        found = match(line)
        if found is None or not quick(*found.groups()):
            reader.read(number, line)
        reader.lines = number
    return reader.result()


class _Reader:
    def __init__(self, problems: list[str]) -> None:
        self.left_out: tuple[bytes, ...] = ()
        """How lines begin that are samples of metrics that do not count."""
        self._samples = Samples(Format.NDJSON, problems)
        self._these: dict[bytes, Counted] = {}
        self._second = self._last = b""
        self._problems = problems
        self._thresholds: dict[Threshold, None] = {}
        self._unread: list[int] = []
        self._how_many_unread = 0
        self.lines = 0

    def quick(self, metric: bytes, time: bytes, value: bytes, tags: bytes) -> bool:
        """Counts a sample whose tags were seen before, which is most of them, or are JSON. False: neither."""
        these = self._these.get(tags) or self._look_up(tags)
        if these is None:
            return False
        self._last = time
        if time[:19] != self._second:
            self._second = time[:19]
            self._samples.at(time.decode())
        if metric == b"http_req_duration":
            these.durations.add(float(value))
        elif metric == b"http_req_failed":
            these.judged += 1
            these.failed += value != b"0" and float(value) != 0
        else:
            self._samples.count(these, _NAMES[metric], float(value))
        return True

    def _look_up(self, tags: bytes) -> Counted | None:
        try:
            document = orjson.loads(tags)
        except orjson.JSONDecodeError:
            return None
        if len(self._these) >= MOST_REMEMBERED:
            self._these.clear()
        found = self._these[tags] = self._samples.these(document)
        return found

    def read(self, number: int, line: bytes) -> None:
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.strip():
                self._cannot_read(number)
            return
        if not (self._is_point(document) or self._is_metric(document)):
            self._cannot_read(number)

    def _is_point(self, document: object) -> bool:
        """Whether it was a sample, which is counted then."""
        if not _is_map(document) or document.get("type") != "Point":
            return False
        metric, data = document.get("metric"), document.get("data")
        if not isinstance(metric, str) or not _is_map(data):
            return False
        if metric not in NEEDED:
            self._leave_out(metric)
            return True
        value, time, tags = data.get("value"), data.get("time"), data.get("tags")
        if not is_sample(value) or not isinstance(time, str) or not (tags is None or _is_map(tags)):
            return False
        self._samples.at(time)
        self._samples.count(self._samples.these(tags or {}), metric, value)
        return True

    def _leave_out(self, metric: str) -> None:
        head = b'{"metric":"%s","type":"Point",' % metric.encode()
        if len(self.left_out) < MOST_LEFT_OUT and head not in self.left_out and metric.isidentifier():
            self.left_out += (head,)

    def _is_metric(self, document: object) -> bool:
        """Whether it told what a metric is. Its thresholds are kept, unknown whether they held."""
        if not _is_map(document) or document.get("type") != "Metric":
            return False
        data = document.get("data")
        if not isinstance(name := document.get("metric"), str) or not _is_map(data):
            return False
        expressions, submetrics = data.get("thresholds") or [], data.get("submetrics") or []
        if not isinstance(expressions, list) or not isinstance(submetrics, list):
            return False
        names = [it.get("name") if _is_map(it) else None for it in submetrics]
        for metric, expression in [(name, it) for it in expressions] + [(it, "") for it in names]:
            self._keep(metric, expression)
        return True

    def _keep(self, metric: object, expression: object) -> None:
        if metric != ALWAYS_THERE and len(self._thresholds) < MOST_THRESHOLDS:
            told = Threshold(str(metric)[:LONGEST_TEXT], str(expression)[:LONGEST_TEXT], Kept.UNKNOWN)
            self._thresholds[told] = None

    def _cannot_read(self, number: int) -> None:
        self._how_many_unread += 1
        self._unread = [*self._unread[:1], number]

    def result(self) -> LoadTestResult:
        if self._last:
            self._samples.at(self._last.decode())
        if self._how_many_unread == 1 and self._unread[-1] == self.lines:
            self._problems.append(f"Its last line ({self.lines}) is cut off: k6 did not end by itself.")
        elif self._how_many_unread:
            self._problems.append(
                f"It has {self._how_many_unread} lines that are neither a metric nor a sample of k6, the first is line "
                f"{self._unread[0]}."
            )
        return self._samples.result(tuple(self._thresholds))


def _is_map(document: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(document, dict)
