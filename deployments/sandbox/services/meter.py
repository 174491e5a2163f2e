"""The load balancer's metrics: what each edge counted, put into CloudWatch every AWS minute.

Straight into the stand-in's backend, not through its HTTP door: in AWS nobody calls an API for these either, and
so no injected fault and no recorded call of the product comes in between.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.sandbox.services.traffic import Hit

NAMESPACE = "AWS/ApplicationELB"
Datum = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer as its metrics name it."""

    account: str
    region: str
    name: str
    """`app/batbern-staging/50dc6c495c0c9188`."""


def data(balancer: str, hits: Sequence[Hit], group_of: Callable[[str], str]) -> list[Datum]:
    """The data of the hits of one minute: for the balancer as a whole and for each of its target groups.

    `group_of` gives a revision's target group (`targetgroup/…`), empty when it has none. As with a real
    balancer there is no datum for what did not happen: no hits, no data.
    """
    whole = [{"Name": "LoadBalancer", "Value": balancer}]
    found = _data(whole, hits) if hits else []
    for group in sorted({group_of(hit.revision) for hit in hits} - {""}):
        mine = [hit for hit in hits if group_of(hit.revision) == group]
        found += _data([{"Name": "TargetGroup", "Value": group}, *whole], mine)
    return found


def put(balancer: Balancer, found: list[Datum]) -> None:
    """Store the data. The stand-in's lock is the caller's affair."""
    from moto.cloudwatch.models import cloudwatch_backends

    if found:
        cloudwatch_backends[balancer.account][balancer.region].put_metric_data(NAMESPACE, found)


def _data(dimensions: list[dict[str, str]], hits: Sequence[Hit]) -> list[Datum]:
    answered = [hit for hit in hits if hit.from_target]
    counts = {
        "RequestCount": len(hits),
        "HTTPCode_Target_2XX_Count": _between(answered, 200, 300),
        "HTTPCode_Target_4XX_Count": _between(answered, 400, 500),
        "HTTPCode_Target_5XX_Count": _between(answered, 500, 600),
        "HTTPCode_ELB_5XX_Count": len(hits) - len(answered),
    }
    found = [_count(name, number, dimensions) for name, number in counts.items() if number]
    return found + ([_times(answered, dimensions)] if answered else [])


def _between(hits: Iterable[Hit], low: int, high: int) -> int:
    return sum(low <= hit.status < high for hit in hits)


def _count(name: str, number: int, dimensions: list[dict[str, str]]) -> Datum:
    # Each request is one sample of 1, so that Sum and SampleCount are both the number of requests.
    return {
        "MetricName": name,
        "Dimensions": dimensions,
        "Values": [1.0],
        "Counts": [float(number)],
        "Unit": "Count",
    }


def _times(hits: Iterable[Hit], dimensions: list[dict[str, str]]) -> Datum:
    by_millisecond = Counter(round(hit.seconds, 3) for hit in hits)
    return {
        "MetricName": "TargetResponseTime",
        "Dimensions": dimensions,
        "Values": list(by_millisecond),
        "Counts": [float(count) for count in by_millisecond.values()],
        "Unit": "Seconds",
    }
