"""Before a canary starts: are there numbers to judge it by? What cannot be measured is not rolled out by measure."""

from dataclasses import dataclass

from rules.catalogue import CanaryPolicy
from rules.telemetry import MOST_UNKNOWN, Source
from rules.vocabulary import Finding, Verdict

GATE = "metrics"
LOOK_BACK_MINUTES = 15
FEWEST_TICKS = 3
"""Of one window, complete: evidence must be able to come from two ticks, and the first is cut by the start."""
MOST_UNANSWERED = 0.005
"""Of the old version's requests: half of the usual budget for errors."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the configured metrics said of the version that runs now, in the last minutes."""

    asked: str
    """The metrics by their names, so that a mistake in them is seen."""
    ticks: int = 0
    """With requests."""
    requests: int = 0
    errors: int = 0
    timed: int = 0
    errors_known: bool = True
    """Whether silence about errors means that there were none: the metric is known to exist."""
    obstacle: str = ""
    """Why nothing could be asked."""


def unknown_version(service: str, environment: str) -> Seen:
    return Seen("", obstacle=f"It is not known which version of {service} serves in {environment}; look at it in ECS.")


def check_seen(service: str, seen: Seen, source: Source) -> Finding:
    """Whether the metrics of one service show what a judge needs: requests, their times and their errors."""
    gate, allowed = f"{GATE}/{service}", "requests, their times and their errors"
    measured = f"{seen.ticks} ticks, {seen.requests} requests, {seen.timed} timed, {seen.errors} errors"
    if seen.obstacle:
        return Finding(gate, Verdict.FAILED, seen.obstacle, "", allowed, seen.asked)
    verdict, sentence = _judge(service, seen, source)
    return Finding(gate, verdict, sentence, measured, allowed, seen.asked)


def _judge(service: str, seen: Seen, source: Source) -> tuple[Verdict, str]:
    span = f"in the last {LOOK_BACK_MINUTES} minutes"
    if not seen.requests:
        what = f"{source.name} shows no request of {service} {span}, so a canary of it could not be judged"
        return Verdict.INCONCLUSIVE, f"{what}. Check the metrics' names in the catalogue, or wait for visitors."
    if not seen.timed:
        what = f"{source.name} shows requests of {service} {span} but none of their times"
        return Verdict.INCONCLUSIVE, f"{what}. Check the name of the latency in the catalogue."
    if not seen.errors_known:
        what = f"{source.name} never had a point for the errors of {service}, not even a zero"
        return Verdict.INCONCLUSIVE, f"{what}: a wrong name looks the same. Publish zeros, or mend the name."
    return _judge_times(service, seen, source)


def _judge_times(service: str, seen: Seen, source: Source) -> tuple[Verdict, str]:
    share = 1 - min(1.0, seen.timed / seen.requests)
    if share > MOST_UNKNOWN:
        what = f"{share:.0%} of the requests of {service} have no time in {source.name}"
        return Verdict.FAILED, f"{what} (allowed: {MOST_UNKNOWN:.0%}). Publish the time of every request."
    if source.untimed_fail and share > MOST_UNANSWERED:
        what = f"{share:.1%} of the requests of {service} get no answer from their target already now"
        why = "as each of them counts as an error, a healthy canary could not be told from a bad one"
        return Verdict.INCONCLUSIVE, f"{what} (allowed: {MOST_UNANSWERED:.1%}); {why}."
    sentence = f"{service} can be judged: {seen.requests} requests in {seen.ticks} ticks ({source.words})."
    return Verdict.PASSED, sentence


def check_window(source: Source, policy: CanaryPolicy) -> Finding:
    """Whether a canary's window is long enough for numbers as coarse and late as the source's."""
    needed = FEWEST_TICKS * source.resolution_seconds + source.delay_seconds
    found = policy.window_minutes * 60
    measured, allowed = f"{found:g} s", f"{needed:g} s or more"
    if found >= needed:
        sentence = f"A window of {policy.window_minutes:g} minutes is long enough for {source.words}."
        return Finding(f"{GATE}/window", Verdict.PASSED, sentence, measured, allowed)
    sentence = (
        f"A window of {policy.window_minutes:g} minutes is too short for {source.words}: it needs {FEWEST_TICKS} "
        f"complete numbers, that is {needed / 60:.1f} minutes. Lengthen canary.window_minutes or take finer metrics."
    )
    return Finding(f"{GATE}/window", Verdict.FAILED, sentence, measured, allowed)
