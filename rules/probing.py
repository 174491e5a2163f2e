"""Whether what answers is a healthy release: health, smoke and soak, judged from what the probes saw.

A status of 200 is not enough: a login page, an empty answer and `{"status": "DOWN"}` come with 200 too.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.catalogue import HealthPolicy
from rules.vocabulary import Finding, Verdict, worst

HEALTH, SMOKE, SOAK = "health", "smoke", "soak"
MOST_FAILED_SHARE = 0.01
"""Of the requests of a soak. Above it the release fails."""
CONFIDENCE = 0.95
OK, REDIRECTS = 200, range(300, 400)


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """One look at a health endpoint (Spring Boot Actuator's form)."""

    path: str
    status: int
    """HTTP status; 0 where nothing answered."""
    up: bool
    """Status 200 and a JSON body that says `"status": "UP"`."""
    milliseconds: float
    body_excerpt: str


@dataclass(frozen=True, slots=True)
class SmokeAnswer:
    """One look at an address that users need."""

    path: str
    status: int
    """HTTP status; 0 where nothing answered."""
    milliseconds: float
    content_type: str
    body: str
    """The first part of the answer, without secrets."""
    is_json: bool
    """Whether the whole answer was JSON."""
    json_expected: bool = True
    location: str = ""
    """Where a redirect points."""


def judge_service(service: str, answers: Sequence[HealthAnswer]) -> Finding:
    """Healthy when the last look found it so. The looks before it are told: a service that needed three is noted."""
    gate = f"{HEALTH}: {service}"
    if not answers:
        return Finding(gate, Verdict.INCONCLUSIVE, f"Nobody looked at the health of {service}.", allowed="UP")
    last, tried = answers[-1], f"{len(answers)} looks" if len(answers) > 1 else "1 look"
    measured = f"{_status(last.status)} in {last.milliseconds:.0f} ms, {tried}"
    if last.up:
        late = "" if len(answers) == 1 else f", after {len(answers) - 1} looks at which it was not"
        return Finding(gate, Verdict.PASSED, f"{service} is UP{late}.", measured, "UP", last.path)
    sentence = f"{service} is not UP after {tried}: {_status(last.status)} {last.body_excerpt}".rstrip() + "."
    return Finding(gate, Verdict.FAILED, sentence, measured, "UP", last.path)


def judge_health(answers: Mapping[str, Sequence[HealthAnswer]]) -> Finding:
    """One finding over all services. A service without an answer is not healthy, and no service is no pass."""
    findings = [judge_service(service, looks) for service, looks in answers.items()]
    verdict = worst(finding.verdict for finding in findings)
    healthy = sum(finding.verdict is Verdict.PASSED for finding in findings)
    measured, allowed = f"{healthy} of {len(findings)} UP", "all UP"
    if not findings:
        return Finding(HEALTH, verdict, "No service is configured, so nothing was looked at.", measured, allowed)
    if verdict is Verdict.PASSED:
        return Finding(HEALTH, verdict, f"All {healthy} services are UP.", measured, allowed)
    reasons = " ".join(finding.sentence for finding in findings if finding.verdict is not Verdict.PASSED)
    return Finding(HEALTH, verdict, reasons, measured, allowed)


def fault_of(answer: SmokeAnswer, policy: HealthPolicy) -> str:
    """What is wrong with one answer, in words. Empty where nothing is."""
    if answer.status == 0:
        return f"no answer ({answer.body})"
    if answer.status in REDIRECTS:
        return f"redirected to {answer.location or 'nowhere'}, which a login page does"
    if answer.status != OK:
        return f"HTTP {answer.status}"
    return _fault_of_body(answer) or _fault_of_speed(answer, policy)


def judge_smoke(answers: Sequence[SmokeAnswer], policy: HealthPolicy) -> Finding:
    """Every address must answer, with content, in time."""
    faults = [f"{answer.path}: {fault}" for answer in answers if (fault := fault_of(answer, policy))]
    measured = f"{len(answers) - len(faults)} of {len(answers)} as they should be"
    allowed = f"all, each within {policy.smoke_slow_seconds:g} s"
    if not answers:
        sentence = "No smoke check is configured, so nothing was looked at. Give the services smoke_paths."
        return Finding(SMOKE, Verdict.INCONCLUSIVE, sentence, measured, allowed)
    if faults:
        return Finding(SMOKE, Verdict.FAILED, f"{'; '.join(faults)}.", measured, allowed)
    slowest = max(answer.milliseconds for answer in answers)
    sentence = f"All {len(answers)} smoke checks answer; the slowest took {slowest:.0f} ms."
    return Finding(SMOKE, Verdict.PASSED, sentence, measured, allowed)


def judge_soak(answers: Sequence[SmokeAnswer], policy: HealthPolicy) -> Finding:
    """Many looks at the same addresses: the share that failed and the 95th percentile of the time.

    Says how rare a fault may be to go unseen in a sample of this size.
    """
    allowed = f"at most {MOST_FAILED_SHARE:.0%} failed, p95 within {policy.smoke_slow_seconds:g} s"
    if len(answers) < max(1, policy.soak_samples):
        sentence = f"Only {len(answers)} of {policy.soak_samples} requests were made, too few to judge."
        return Finding(SOAK, Verdict.INCONCLUSIVE, sentence, f"{len(answers)} requests", allowed)
    failed = [fault for answer in answers if (fault := _fault_beside_speed(answer))]
    share, p95 = len(failed) / len(answers), percentile([answer.milliseconds for answer in answers], 95)
    measured = f"{share:.1%} of {len(answers)} failed, p95 {p95:.0f} ms"
    if share > MOST_FAILED_SHARE:
        sentence = f"{len(failed)} of {len(answers)} requests failed, first with: {failed[0]}."
        return Finding(SOAK, Verdict.FAILED, sentence, measured, allowed)
    if p95 > policy.smoke_slow_seconds * 1000:
        sentence = f"The slowest twentieth of {len(answers)} requests took {p95:.0f} ms or more."
        return Finding(SOAK, Verdict.FAILED, sentence, measured, allowed)
    sentence = (
        f"{len(failed)} of {len(answers)} requests failed, p95 {p95:.0f} ms. A fault that hits fewer than "
        f"{unseen_share(len(answers)):.1%} of the requests could hide in a sample of this size."
    )
    return Finding(SOAK, Verdict.PASSED, sentence, measured, allowed)


def percentile(values: Sequence[float], rank: float) -> float:
    """The smallest value that `rank` percent of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(rank / 100 * len(values)) - 1)]


def unseen_share(samples: int) -> float:
    """The share of failing requests that 0 failures in so many samples still leave possible, with 95 % confidence."""
    return 1.0 - math.pow(1.0 - CONFIDENCE, 1.0 / samples)


def says_up(body: str) -> bool:
    """Whether a health body is JSON and says `"status": "UP"`."""
    return _spoken_status(body) == "UP"


def _fault_beside_speed(answer: SmokeAnswer) -> str:
    return fault_of(answer, HealthPolicy(smoke_slow_seconds=math.inf))


def _fault_of_body(answer: SmokeAnswer) -> str:
    if not answer.body.strip():
        return "an empty answer"
    if answer.json_expected and not answer.is_json:
        return f"not JSON but {answer.content_type or 'something unnamed'}"
    if (status := _spoken_status(answer.body)) not in ("", "UP"):
        return f"HTTP 200 and status {status}"
    return ""


def _fault_of_speed(answer: SmokeAnswer, policy: HealthPolicy) -> str:
    if answer.milliseconds <= policy.smoke_slow_seconds * 1000:
        return ""
    return f"took {answer.milliseconds / 1000:.1f} s, allowed are {policy.smoke_slow_seconds:g} s"


ACTUATOR = frozenset({"UP", "DOWN", "OUT_OF_SERVICE", "UNKNOWN"})


def _spoken_status(body: str) -> str:
    """The word of an Actuator status; other systems' `status` (an order's, an event's) is none of ours."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    status = value.get("status") if isinstance(value, dict) else None
    return status if isinstance(status, str) and status in ACTUATOR else ""


def _status(status: int) -> str:
    return f"HTTP {status}" if status else "no answer"
