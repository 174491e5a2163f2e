"""The three summaries of k6. Nothing of the script's text or of what its `setup` returned is kept.

What one format calls so another turns around: in a summary export a threshold is true where it was crossed, and of
`http_req_failed` the `passes` are the requests that failed. Percentiles are there only if the script asks for them.
"""

from collections.abc import Mapping
from math import isclose
from typing import TypeGuard

from rules.errors import InvalidInput
from rules.load_test_measures import Values, has_samples, number, problems_of_trend, trend, whole
from rules.load_test_points import LONGEST_NAME, LONGEST_SECONDS, MOST_PARTS
from rules.load_test_results import Format, Kept, LoadTestResult, Measures, Part, Threshold

DURATION, FAILED, REQUESTS = "http_req_duration", "http_req_failed", "http_reqs"
UNJUDGED = "expected_response:true"
"""k6's own selection of the requests that did not fail: no scenario, no endpoint."""
KNOWN = "a summary export, a handleSummary object, or a machine-readable summary of k6"


def read_summary(document: object, problems: list[str]) -> LoadTestResult:
    """A parsed JSON document. InvalidInput: it is none of the three."""
    if not _is_map(document):
        raise InvalidInput("The load test's result", f"JSON that is a {type(document).__name__}", KNOWN)
    metrics = document.get("metrics")
    if _is_map(results := document.get("results")) and "metadata" in document:
        return _machine_readable(document, results, problems)
    if not _is_map(metrics) or not all(_is_map(it) for it in metrics.values()):
        raise InvalidInput("The load test's result", "JSON without `metrics`", KNOWN)
    if any(_is_map(it) and "values" in it for it in metrics.values()):
        return _handle_summary(document, metrics, problems)
    if "root_group" not in document:
        raise InvalidInput("The load test's result", "JSON without `root_group`", KNOWN)
    return _summary_export(metrics, problems)


# ------------------------------------------------------------------------------------------------- the three formats


def _summary_export(metrics: Mapping[str, object], problems: list[str]) -> LoadTestResult:
    """Has no duration; each counter has its count and its rate per second, which is as good."""
    read = {name: _without(it, "thresholds") for name, it in metrics.items() if _is_map(it)}
    kept = [
        _threshold(name, expression, _crossed(verdict), read[name])
        for name, it in metrics.items()
        for expression, verdict in _thresholds(it)
    ]
    return _result(Format.SUMMARY_EXPORT, read, kept, _seconds_by_rate(read), problems)


def _handle_summary(
    document: Mapping[str, object], metrics: Mapping[str, object], problems: list[str]
) -> LoadTestResult:
    read = {name: _map(it.get("values")) for name, it in metrics.items() if _is_map(it)}
    kept = [
        _threshold(name, expression, _map(verdict).get("ok"), read[name])
        for name, it in metrics.items()
        for expression, verdict in _thresholds(it)
    ]
    milliseconds = number(_map(document.get("state")), "testRunDurationMs")
    seconds = None if milliseconds is None else milliseconds / 1000
    return _result(Format.HANDLE_SUMMARY, read, kept, seconds, problems)


def _machine_readable(
    document: Mapping[str, object], results: Mapping[str, object], problems: list[str]
) -> LoadTestResult:
    """Has neither thresholds nor p(99), whatever the script asks for, and its checks stand apart."""
    listed = [*_list(results.get("metrics")), *_list(_map(results.get("checks")).get("metrics"))]
    read: dict[str, Values] = {}
    for it in listed:
        name = _map(it).get("name")
        if not isinstance(name, str) or name in read:
            problems.append("Its list of metrics has one twice, or one without a name.")
        else:
            read[name] = _renamed(_map(_map(it).get("values")))
    if checks := read.get("checks_succeeded"):
        read["checks"] = checks
    seconds = number(_map(document.get("config")), "duration")
    return _result(Format.MACHINE_READABLE, read, [], seconds, problems)


def _renamed(values: Values) -> Values:
    """A rate's `matches` of `total`, as the other formats have them."""
    matches, total = whole(values, "matches"), whole(values, "total")
    if "matches" not in values and "total" not in values:
        return values
    if matches is None or total is None or matches > total:
        return {}
    return {"rate": values.get("rate"), "passes": matches, "fails": total - matches}


# ------------------------------------------------------------------------------------------------- what they share


def _result(
    form: Format, read: Mapping[str, Values], kept: list[Threshold], seconds: float | None, problems: list[str]
) -> LoadTestResult:
    total = _measures(read, "", problems)
    checks, dropped = read.get("checks", {}), read.get("dropped_iterations")
    has_checks = has_samples(checks)
    return LoadTestResult(
        form,
        total,
        seconds if seconds is not None and seconds <= LONGEST_SECONDS else None,
        0 if dropped is None else whole(dropped, "count"),
        whole(checks, "passes") if has_checks else None,
        whole(checks, "fails") if has_checks else None,
        tuple(kept),
        _parts(read, problems),
        tuple(problems),
    )


def _measures(read: Mapping[str, Values], selector: str, problems: list[str]) -> Measures:
    """Of all requests, or of those that a selector tells. A rate that is not its counts' is a problem."""
    suffix = f"{{{selector}}}" if selector else ""
    failed, durations = read.get(FAILED + suffix, {}), read.get(DURATION + suffix, {})
    errors, succeeded = whole(failed, "passes"), whole(failed, "fails")
    requests = whole(read.get(REQUESTS + suffix, {}), "count")
    judged = None if errors is None or succeeded is None else errors + succeeded
    if selector and requests is None:
        requests = judged
    told = number(failed, "rate", "value")
    if judged and requests is not None and requests != judged:
        problems.append(f"http_req_failed{suffix} is about {judged} requests, and http_reqs{suffix} about {requests}.")
    rate = errors / judged if errors is not None and judged else None
    if rate is not None and (told is None or not isclose(rate, told, abs_tol=1e-6)):
        problems.append(f"The rate and the counts of http_req_failed{suffix} do not agree.")
    problems.extend(problems_of_trend(DURATION + suffix, durations))
    p50, p95, p99, longest = trend(durations)
    return Measures(requests, errors if judged else None, rate, p50, p95, p99, longest)


def _parts(read: Mapping[str, Values], problems: list[str]) -> tuple[Part, ...]:
    """Every selection of requests in the file, under the key that k6 gives it: tags may hold commas and braces."""
    found = {
        name.partition("{")[2].removesuffix("}")
        for name in read
        if name.partition("{")[0] in (DURATION, FAILED, REQUESTS) and name.endswith("}")
    }
    if len(found) > MOST_PARTS:
        problems.append(f"It has {len(found)} selections of requests, more than {MOST_PARTS}.")
    wanted = sorted(it for it in found if it and it != UNJUDGED)[:MOST_PARTS]
    return tuple(Part(selector, _measures(read, selector, problems)) for selector in wanted)


def _seconds_by_rate(read: Mapping[str, Values]) -> float | None:
    """A counter's count by its rate per second; of the two that every test has the one that counted more."""
    counted = [(number(read.get(it, {}), "count"), number(read.get(it, {}), "rate")) for it in (REQUESTS, "iterations")]
    lengths = [(count, count / rate) for count, rate in counted if count and rate]
    return max(lengths)[1] if lengths else None


def _threshold(metric: str, expression: str, ok: object, values: Values) -> Threshold:
    """Kept by k6's word, if there was anything to keep it by: over no sample at all k6 counts it as kept."""
    kept = (Kept.YES if ok else Kept.NO) if isinstance(ok, bool) else Kept.UNKNOWN
    if kept is Kept.YES and not has_samples(values):
        kept = Kept.UNKNOWN
    return Threshold(metric[:LONGEST_NAME], expression[:LONGEST_NAME], kept)


def _crossed(verdict: object) -> object:
    """A summary export's verdict: true where the threshold was crossed. A newer shape says `ok` instead."""
    if _is_map(verdict):
        return verdict.get("ok")
    return not verdict if isinstance(verdict, bool) else None


def _thresholds(metric: object) -> list[tuple[str, object]]:
    """Expression and verdict. What stands there and cannot be read is a threshold of which nothing is known."""
    found = _map(metric).get("thresholds")
    if _is_map(found):
        return list(found.items())
    return [] if found is None else [("", None)]


# ------------------------------------------------------------------------------------------------- JSON


def _is_map(document: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(document, dict)


def _map(document: object) -> Mapping[str, object]:
    return document if _is_map(document) else {}


def _list(document: object) -> list[object]:
    return document if isinstance(document, list) else []


def _without(values: Mapping[str, object], name: str) -> Values:
    return {key: it for key, it in values.items() if key != name}
