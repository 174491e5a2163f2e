"""How the images of a release behave when they run, as their manifests say.

The sandbox has no code to run in an image. What a task does instead stands in the image's manifest, under
the annotation `sandbox.behaviour`: a JSON text with one entry for all environments (`*`) and one for each that
differs.

A canary is told from the old version by numbers, so in the releases `canary-*` only the service that all visitors
pass is different, and its healthy answers take as long as real ones do: not 20 ms each, but a spread of times.
"""

import hashlib
import json
import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from deployments.sandbox.leavings import GATED

BEHAVIOUR = "sandbox.behaviour"
REVISION = "org.opencontainers.image.revision"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one task does. The defaults are a healthy service."""

    start_seconds: float = 1.0
    """Real seconds from the start of the task until it is ready."""
    crash_at_start: bool = False
    error_rate: float = 0.0
    """Share of the API's answers that are a 500. Health answers are not touched: that is the trap."""
    error_growth_per_minute: float = 0.0
    """So much is added to `error_rate` in every minute since the task was ready."""
    latency_ms: float = 20.0
    latency_sigma: float = 0.0
    """0: every answer takes `latency_ms`. Else their times are lognormal, with this sigma and `latency_ms` as p95."""
    unhealthy: bool = False
    """Health says 503 DOWN although the API works."""
    leak_mb_per_request: float = 0.0
    silent: bool = False
    """It serves, but the metrics that it counts itself never arrive."""

    def seconds(self, dice: random.Random) -> float:
        """How long one answer takes."""
        if not self.latency_sigma:
            return self.latency_ms / 1000
        return dice.lognormvariate(math.log(self.latency_ms / 1000) - Z95 * self.latency_sigma, self.latency_sigma)

    def errors(self, minutes: float) -> float:
        """Share of the answers that fail so many minutes after the task was ready."""
        return min(1.0, self.error_rate + self.error_growth_per_minute * minutes)


Z95 = 1.6448536269514722
"""So many standard deviations above the middle lies the 95th percentile."""
HEALTHY = Behaviour()
USUAL = Behaviour(latency_ms=300.0, latency_sigma=0.6)
"""A healthy service with the times of a real one: half of its answers within 112 ms, six in a thousand above 500."""
FAULTS: Mapping[str, Behaviour] = {
    "good": HEALTHY,
    "bad": Behaviour(error_rate=0.2),
    "slow": Behaviour(latency_ms=1500.0),
    "crash": Behaviour(crash_at_start=True),
    "leak": Behaviour(leak_mb_per_request=20.0),
    "unhealthy": Behaviour(unhealthy=True),
}
CANARIES: Mapping[str, Behaviour] = {
    "canary-good": USUAL,
    "canary-errors": replace(USUAL, error_rate=0.05),
    "canary-slow": replace(USUAL, latency_ms=3 * USUAL.latency_ms),
    "canary-dead": replace(USUAL, error_rate=1.0),
    "canary-leak": replace(USUAL, error_growth_per_minute=0.1),
    "canary-silent": replace(USUAL, silent=True),
}
"""Of the service at the entrance; all others are healthy."""
SLOW_UNDER_LOAD = Behaviour(latency_ms=700.0)
"""Slower than a load test allows, and quick enough for everything else."""
BEHAVIOURS = (*FAULTS, *CANARIES, *GATED)
IN_EVERY_ENVIRONMENT = frozenset({"good", "unhealthy", *GATED})
"""The others are well where they are first deployed, so that this environment's gates let them pass."""


def behaviours_by_environment(name: str, first_environment: str, *, entrance: bool = True) -> dict[str, Behaviour]:
    """The named behaviour as a manifest carries it. Raises `ValueError` for an unknown name.

    `entrance`: whether it is the image of the load-balanced service.
    """
    if name not in BEHAVIOURS:
        raise ValueError(f"behaviour is {name!r}; allowed is one of {', '.join(BEHAVIOURS)}.")
    if name in CANARIES and not entrance:
        return {"*": HEALTHY}
    everywhere = {"*": _everywhere(name)}
    return everywhere if name in IN_EVERY_ENVIRONMENT else {**everywhere, first_environment: HEALTHY}


def _everywhere(name: str) -> Behaviour:
    if name == "slow-under-load":
        return SLOW_UNDER_LOAD
    return {**FAULTS, **CANARIES}.get(name, HEALTHY)


def image_manifest(repository: str, version: str, behaviours: Mapping[str, Behaviour]) -> str:
    """An OCI manifest, unique for repository and version, that carries the behaviours."""
    layer = hashlib.sha256(f"{repository}@{version}".encode()).hexdigest()
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _blob("application/vnd.oci.image.config.v1+json", 7023, f"config of {layer}"),
        "layers": [_blob("application/vnd.oci.image.layer.v1.tar+gzip", 84_213_760, f"layer of {layer}")],
        "annotations": {
            REVISION: version,
            BEHAVIOUR: json.dumps({place: asdict(behaviour) for place, behaviour in behaviours.items()}),
        },
    }
    return json.dumps(document, separators=(",", ":"))


def _blob(media_type: str, size: int, content: str) -> dict[str, Any]:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return {"mediaType": media_type, "size": size, "digest": f"sha256:{digest}"}


def behaviour_of(manifest: str, environment: str) -> Behaviour:
    """What the image does in this environment. A manifest that says nothing is a healthy image."""
    by_place = json.loads(_annotations(manifest).get(BEHAVIOUR, "{}"))
    return Behaviour(**{**by_place.get("*", {}), **by_place.get(environment, {})})


def version_of(manifest: str) -> str:
    """The Git SHA that the image was built from, empty when the manifest does not say."""
    return _annotations(manifest).get(REVISION, "")


def _annotations(manifest: str) -> dict[str, str]:
    try:
        document = json.loads(manifest)
    except json.JSONDecodeError:
        return {}
    annotations = document.get("annotations") if isinstance(document, dict) else None
    return annotations if isinstance(annotations, dict) else {}
