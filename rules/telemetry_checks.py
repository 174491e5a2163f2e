"""What the catalogue's metrics policy must satisfy, so that two versions can be told apart, and counted."""

import re
from collections.abc import Iterator
from string import Formatter

from rules.catalogue import CanaryPolicy, MetricSource, MetricsPolicy
from rules.telemetry import Source
from rules.telemetry_gates import check_window
from rules.vocabulary import Verdict

SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})
"""Seconds. CloudWatch knows these and whole minutes."""
MOST_DIMENSIONS = 30
PLACEHOLDERS = frozenset({"service", "environment", "task_definition"})
VERSION = "{task_definition}"
QUERIES = {
    "requests_query": (VERSION,),
    "errors_query": (VERSION,),
    "slow_query": (VERSION, "{seconds}"),
    "reference_query": (VERSION, "{minutes}"),
}
NAMESPACE = re.compile(r"[\w.\-/#:]{1,255}", re.ASCII)

Fault = tuple[str, object, str]
"""Key of the policy, what was found, what is allowed."""

SOURCE_NAMES = {
    MetricSource.LOAD_BALANCER: "the load balancer's metrics",
    MetricSource.CLOUDWATCH: "the application's CloudWatch metrics",
    MetricSource.PROMETHEUS: "Prometheus",
}


def source_of(policy: MetricsPolicy) -> Source:
    """The source as the catalogue describes it."""
    return Source(
        SOURCE_NAMES[policy.source],
        policy.resolution_seconds,
        policy.delay_seconds,
        untimed_fail=policy.source is MetricSource.LOAD_BALANCER and policy.unanswered_fail,
    )


def faults(policy: MetricsPolicy, canary: CanaryPolicy, slow_ms: float, *, judged: bool) -> Iterator[Fault]:
    """Everything that is wrong with the policy. `judged`: whether any service is rolled out as a canary."""
    if policy.source is MetricSource.PROMETHEUS:
        yield from _prometheus(policy, slow_ms / 1000)
    else:
        yield from _period(policy)
    if policy.source is MetricSource.CLOUDWATCH:
        yield from _cloudwatch(policy)
    if judged and policy.resolution_seconds > 0:
        finding = check_window(source_of(policy), canary)
        if finding.verdict is not Verdict.PASSED:
            yield "resolution_seconds", policy.resolution_seconds, f"finer numbers. {finding.sentence}"


def _period(policy: MetricsPolicy) -> Iterator[Fault]:
    short = SHORT_PERIODS if policy.source is MetricSource.CLOUDWATCH else frozenset[int]()
    if policy.resolution_seconds not in short and policy.resolution_seconds % 60:
        names = ", ".join(map(str, sorted(short)))
        allowed = f"{names} or whole minutes" if short else "whole minutes: a load balancer has no finer numbers"
        yield "resolution_seconds", policy.resolution_seconds, allowed


def _cloudwatch(policy: MetricsPolicy) -> Iterator[Fault]:
    if not NAMESPACE.fullmatch(policy.namespace):
        yield "namespace", policy.namespace, "the namespace of the application's metrics"
    for key in ("requests", "errors", "latency"):
        if not getattr(policy, key):
            yield key, "", "the name of a metric"
    templates = list(policy.dimensions.values())
    if len(templates) > MOST_DIMENSIONS or not all(templates):
        yield "dimensions", policy.dimensions, f"at most {MOST_DIMENSIONS}, none of them empty"
    if any(_placeholders(template) - PLACEHOLDERS for template in templates):
        yield "dimensions", policy.dimensions, f"templates of {', '.join(sorted(PLACEHOLDERS))} only"
    if not any(VERSION in template for template in templates):
        yield "dimensions", policy.dimensions, f"one with {VERSION}, or the two versions cannot be told apart"


def _placeholders(template: str) -> set[str]:
    try:
        return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError:
        return {template}


def _prometheus(policy: MetricsPolicy, slow_seconds: float) -> Iterator[Fault]:
    for key, needed in QUERIES.items():
        template = getattr(policy, key)
        if missing := [one for one in needed if one not in template]:
            yield key, template, f"a PromQL query with {' and '.join(missing)}"
    borders = policy.buckets_seconds
    if list(borders) != sorted(set(borders)) or any(border <= 0 for border in borders):
        yield "buckets_seconds", list(borders), "numbers above 0, each larger than the one before"
    if borders and slow_seconds not in borders:
        allowed = f"borders with judge.slow_ms among them ({slow_seconds:g} s): a histogram counts only at its borders"
        yield "buckets_seconds", list(borders), allowed
