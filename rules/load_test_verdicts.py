"""The verdict on a load test. What k6 says by its exit code comes first, then the worst of everything measured.

exit code not 0 or 99, or against the file ──▶ INCONCLUSIVE: the run went wrong, whatever it measured
a limit is exceeded ──▶ FAILED        something is unknown, or too little ──▶ INCONCLUSIVE
"""

from collections.abc import Iterator
from typing import NamedTuple

from rules.load_test_limits import Limits, PartLimits, within
from rules.load_test_results import Kept, LoadTestResult, Measures, Part, Threshold
from rules.vocabulary import Finding, Verdict

GATE = "load"
KEPT, CROSSED = 0, 99
EXITS = {
    97: "the run in the cloud failed",
    98: "the progress of the run in the cloud could not be followed",
    100: "setup took too long",
    101: "teardown took too long",
    102: "something took too long",
    103: "it was stopped over its REST API",
    104: "its configuration or a threshold is invalid",
    105: "it was interrupted",
    106: "its REST API could not start",
    107: "the script threw an exception",
    108: "the script aborted the test",
    109: "k6 itself crashed",
    110: "the script marked the test as failed",
    255: "k6 does not know one of its options",
}
"""k6's exit codes that are neither 0 nor 99."""
MOST_NAMED = 3
ROUNDED_FROM_MS = 10_000


class Said(NamedTuple):
    verdict: Verdict
    sentence: str


def judge(result: LoadTestResult, limits: Limits | None = None, *, exit_code: int | None = None) -> Finding:
    """PASSED: everything that the limits ask for is known and within them. Sentences name the worst first.

    `exit_code` is k6's own: 99 are crossed thresholds, anything but 0 and 99 is an errored run, and so is one whose
    file says otherwise. None: nobody knows it; thresholds that the file tells of, but not whether they were kept, are
    then unknown.
    """
    asked = limits or Limits()
    errored = _errored(result, exit_code)
    said = [errored] if errored else [*_against(result, asked, exit_code)]
    measured, allowed = _measured(result), _allowed(asked)
    if not said:
        return Finding(GATE, Verdict.PASSED, f"The load test kept its limits: {measured}.", measured, allowed)
    said.sort(key=lambda it: -it.verdict.badness)
    named = [it.sentence for it in said[:MOST_NAMED]]
    more = f" And {len(said) - MOST_NAMED} more." if len(said) > MOST_NAMED else ""
    return Finding(GATE, said[0].verdict, " ".join(named) + more, measured, allowed)


def _errored(result: LoadTestResult, exit_code: int | None) -> Said | None:
    """Where the run went wrong, or its file is not the one that k6 ended with."""
    crossed = [it for it in result.thresholds if it.kept is Kept.NO]
    if exit_code not in (None, KEPT, CROSSED):
        why = EXITS.get(exit_code or 0, "which k6 does not document")
        return Said(Verdict.INCONCLUSIVE, f"The load test errored: k6 ended with {exit_code}, {why}. Run it again.")
    if exit_code == KEPT and crossed:
        against = f"k6 ended with 0, but its file says that {_named(crossed)} did not hold"
    elif exit_code == CROSSED and result.format.tells_thresholds and not crossed:
        against = "k6 ended with 99 for thresholds that did not hold, but its file has none such"
    else:
        return None
    return Said(Verdict.INCONCLUSIVE, f"The load test errored: {against}. They are not of one run; run it again.")


def _against(result: LoadTestResult, limits: Limits, exit_code: int | None) -> Iterator[Said]:
    yield from _of_whole(result, limits)
    yield from _of_parts(result, limits)
    yield from _of_growth(result, limits)
    yield from _of_thresholds(result, limits, exit_code)
    yield from _of_amount(result, limits)
    yield from (Said(Verdict.INCONCLUSIVE, it) for it in result.problems)


# ------------------------------------------------------------------------------------------------- measured


def _of_whole(result: LoadTestResult, limits: Limits) -> Iterator[Said]:
    yield from _of("The load test", result.total, limits.p95_ms, limits.error_rate, needed=True)
    passed, failed = result.checks_passed, result.checks_failed
    if (passed is None) != (failed is None):
        yield Said(Verdict.INCONCLUSIVE, "Of the script's checks it is unknown how many failed.")
    if passed is not None and failed and not within(failed / (passed + failed), limits.check_failures):
        share, allowed = _percent(failed / (passed + failed)), _percent(limits.check_failures)
        yield Said(
            Verdict.FAILED, f"{failed} of {passed + failed} checks failed ({share}); below {allowed} is allowed."
        )


def _of(who: str, it: Measures, p95_ms: float, error_rate: float, *, needed: bool) -> Iterator[Said]:
    """What is against these measures. If they are needed so is what is unknown."""
    if it.p95_ms is None:
        if needed:
            yield Said(Verdict.INCONCLUSIVE, f"{who} does not tell the p95 of its requests' durations.")
    elif not within(it.p95_ms, p95_ms):
        yield Said(Verdict.FAILED, f"{who} had a p95 of {_ms(it.p95_ms)}; below {p95_ms:g} ms is allowed.")
    if it.error_rate is None:
        if needed:
            yield Said(Verdict.INCONCLUSIVE, f"{who} does not tell how many of its requests failed.")
    elif not within(it.error_rate, error_rate):
        counts = f" ({it.errors} of {it.requests})" if it.requests and it.errors is not None else ""
        allowed = f"below {_percent(error_rate)} is allowed"
        yield Said(Verdict.FAILED, f"{who} had {_percent(it.error_rate)} failed requests{counts}; {allowed}.")


def _of_parts(result: LoadTestResult, limits: Limits) -> Iterator[Said]:
    for selector, own in limits.parts.items():
        yield from _of_named(result.part(selector), selector, own, limits)
    for part in result.parts:
        requests = part.measures.requests
        enough = requests is None or requests >= limits.part_requests
        if part.selector not in limits.parts and part.is_scenario_or_endpoint and enough:
            yield from _of(part.selector, part.measures, limits.p95_ms, limits.error_rate, needed=False)


def _of_named(part: Part | None, selector: str, own: PartLimits, limits: Limits) -> Iterator[Said]:
    if part is None:
        yield Said(Verdict.INCONCLUSIVE, f"{selector} has limits of its own, and the load test tells nothing of it.")
        return
    p95_ms = limits.p95_ms if own.p95_ms is None else own.p95_ms
    error_rate = limits.error_rate if own.error_rate is None else own.error_rate
    yield from _of(selector, part.measures, p95_ms, error_rate, needed=True)
    yield from _enough(selector, part.measures.requests, own.minimum_requests)


def _of_growth(result: LoadTestResult, limits: Limits) -> Iterator[Said]:
    if limits.last is None:
        return
    if limits.last.p95_ms is None:
        yield Said(Verdict.INCONCLUSIVE, "The last run that passed does not tell its p95.")
    yield from _grown("The load test", result.total, limits.last.total, limits)
    for part in result.parts:
        before = limits.last.part(part.selector)
        counts = [] if before is None else [part.measures.requests, before.measures.requests]
        if before and part.is_scenario_or_endpoint and all(it is None or it >= limits.part_requests for it in counts):
            yield from _grown(part.selector, part.measures, before.measures, limits)


def _grown(who: str, now: Measures, before: Measures, limits: Limits) -> Iterator[Said]:
    if now.p95_ms is None or before.p95_ms is None or now.p95_ms - before.p95_ms < limits.growth_ms:
        return
    if now.p95_ms > before.p95_ms * limits.p95_growth:
        told = f"{_ms(now.p95_ms)} after {_ms(before.p95_ms)} in the last run that passed"
        yield Said(Verdict.FAILED, f"{who} had a p95 of {told}; {limits.p95_growth:g} times as much is allowed.")


# ------------------------------------------------------------------------------------------------- told by k6


def _of_thresholds(result: LoadTestResult, limits: Limits, exit_code: int | None) -> Iterator[Said]:
    crossed = [it for it in result.thresholds if it.kept is Kept.NO]
    if crossed:
        yield Said(Verdict.FAILED, f"Thresholds of the script did not hold: {_named(crossed)}.")
    elif exit_code == CROSSED:
        yield Said(Verdict.FAILED, "Thresholds of the script did not hold: k6 ended with 99.")
    unknown = [it for it in result.thresholds if it.kept is Kept.UNKNOWN]
    if unknown and result.format.tells_thresholds:
        yield Said(Verdict.INCONCLUSIVE, f"Nothing was measured for the script's thresholds {_named(unknown)}.")
    elif unknown and exit_code is None:
        remedy = "Pass k6's exit code, or a summary"
        yield Said(
            Verdict.INCONCLUSIVE, f"Whether the script's thresholds held is unknown: {_named(unknown)}. {remedy}."
        )
    if limits.needs_thresholds and not (result.thresholds and result.format.tells_thresholds):
        yield Said(Verdict.INCONCLUSIVE, "No thresholds of the script are told, and there must be some.")


def _of_amount(result: LoadTestResult, limits: Limits) -> Iterator[Said]:
    yield from _enough("The load test", result.requests, limits.minimum_requests)
    if result.seconds is None:
        yield Said(Verdict.INCONCLUSIVE, "The load test does not tell how long it ran.")
    elif result.seconds < limits.minimum_seconds:
        allowed = f"{limits.minimum_seconds:g} or more are needed"
        yield Said(Verdict.INCONCLUSIVE, f"The load test ran for {result.seconds:.3g} seconds; {allowed}.")
    if result.dropped_iterations is None:
        yield Said(Verdict.INCONCLUSIVE, "The load test does not tell how many iterations it dropped.")
    elif limits.dropped_iterations is not None and result.dropped_iterations > limits.dropped_iterations:
        told = f"k6 could not begin {result.dropped_iterations} iterations, so the load was lower than planned"
        yield Said(Verdict.INCONCLUSIVE, f"{told}; {limits.dropped_iterations} are allowed.")
    if limits.release and result.release != limits.release:
        whose = f"release {result.release!r}" if result.release else "no release"
        yield Said(Verdict.INCONCLUSIVE, f"The load test's samples are of {whose}, not of {limits.release!r}.")


def _enough(who: str, requests: int | None, minimum: int) -> Iterator[Said]:
    if requests is None:
        yield Said(Verdict.INCONCLUSIVE, f"{who} does not tell how many requests it made.")
    elif requests < max(minimum, 1):
        yield Said(Verdict.INCONCLUSIVE, f"{who} made {requests} requests; {max(minimum, 1)} or more are needed.")


# ------------------------------------------------------------------------------------------------- words


def _measured(result: LoadTestResult) -> str:
    told = [
        "p95 unknown" if result.p95_ms is None else f"p95 {_ms(result.p95_ms)}",
        "failures unknown" if result.error_rate is None else f"{_percent(result.error_rate)} failed",
        "number of requests unknown" if result.requests is None else f"{result.requests} requests",
        "duration unknown" if result.seconds is None else f"{result.seconds:.4g} s",
    ]
    if result.dropped_iterations:
        told.append(f"{result.dropped_iterations} iterations dropped")
    return ", ".join(told)


def _allowed(limits: Limits) -> str:
    least = f"{limits.minimum_requests} requests and {limits.minimum_seconds:g} s or more"
    return f"p95 below {limits.p95_ms:g} ms, below {_percent(limits.error_rate)} failed, {least}"


def _named(thresholds: list[Threshold]) -> str:
    more = f" and {len(thresholds) - MOST_NAMED} more" if len(thresholds) > MOST_NAMED else ""
    return ", ".join(str(it) for it in thresholds[:MOST_NAMED]) + more


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.4g} ms" if milliseconds < ROUNDED_FROM_MS else f"{milliseconds:.0f} ms"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
