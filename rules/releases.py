"""Which release is where: from the digests that really run, never from a task definition's number or a moving tag."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rules.vocabulary import Finding, Image, Release, Service, Verdict, short

_SHA = re.compile(r"[0-9a-f]{7,40}")
_TAG = re.compile(r"(?P<sha>[0-9a-f]{7,40})(?:-.+)?")


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What ECS says of one service, in one look."""

    service: str
    """The service's id in the catalogue."""
    name: str
    """Its generated name in ECS."""
    task_definition: str
    desired: int
    running: int
    deployed_at: datetime
    """When the revision that serves was deployed."""
    digests: frozenset[str]
    """Image digests of the running tasks that carry production traffic."""
    deploying: bool = False
    deploying_to: str = ""
    """Image reference of the deployment in progress."""
    crashed_tasks: int = 0
    """Tasks of the serving revision that stopped by themselves, as far back as ECS remembers (about an hour)."""

    @property
    def steady(self) -> bool:
        return not self.deploying and self.running == self.desired


def is_sha(text: str) -> bool:
    """Whether the text is a Git SHA, 7 to 40 lower-case hexadecimal digits."""
    return _SHA.fullmatch(text) is not None


def versions_of(image: Image) -> frozenset[str]:
    """The Git SHAs that an image's tags name. One image may carry several: a rebuild without changes."""
    return frozenset(match["sha"] for tag in image.tags if (match := _TAG.fullmatch(tag)))


def same_version(one: str, other: str) -> bool:
    """Whether two SHAs name one commit: tags carry a short form, people paste the long one."""
    return one.startswith(other) or other.startswith(one)


def check_running(
    services: Iterable[Service], states: Mapping[str, ServiceState], environment: str
) -> tuple[Finding, ...]:
    """Whether each service runs exactly one image, so that there is something to promote. One finding a service."""
    return tuple(_running(service, states.get(service.id), environment) for service in services)


def _running(service: Service, state: ServiceState | None, environment: str) -> Finding:
    gate = f"runs/{service.id}"
    if state is None:
        return Finding(
            gate,
            Verdict.FAILED,
            f"{service.id} was not found in {environment}.",
            "missing",
            service.ecs_service,
        )
    if not state.digests:
        return Finding(
            gate,
            Verdict.FAILED,
            f"{service.id} has no running task in {environment}.",
            f"0 of {state.desired}",
        )
    if len(state.digests) > 1:
        return Finding(
            gate,
            Verdict.FAILED,
            f"{service.id} runs {len(state.digests)} images in {environment} at once: it is being deployed.",
            " ".join(sorted(state.digests)),
            "one digest",
        )
    return Finding(gate, Verdict.PASSED, f"{service.id} runs {_short(state)}.", _short(state), "one digest")


def _short(state: ServiceState) -> str:
    return " ".join(short(digest) for digest in sorted(state.digests))


def pin(
    states: Mapping[str, ServiceState],
    images: Mapping[str, Image | None],
    requested: str | None,
    environment: str,
) -> tuple[Release | None, Finding]:
    """The release that runs, pinned by digest.

    `images` is by service id: the registry's answer for the digest that runs, None when the registry lacks it.
    A mixture of versions is refused: it is what a half-finished deployment, or a wrong "what has changed", leaves.
    """
    lacking = sorted(service for service in states if images.get(service) is None)
    if lacking or not states:
        return None, Finding(
            "release",
            Verdict.FAILED,
            f"The registry does not have what runs in {environment}: {', '.join(lacking) or 'nothing runs'}.",
        )
    carried = {service: versions_of(image) for service, image in images.items() if image is not None}
    common = frozenset.intersection(*carried.values())
    chosen = _choose(common, requested)
    if chosen is None:
        return None, _no_common_version(carried, common, requested, environment)
    digests = {service: next(iter(state.digests)) for service, state in states.items()}
    sentence = f"{environment} runs {chosen} in all {len(digests)} services."
    return Release(chosen, digests), Finding("release", Verdict.PASSED, sentence, chosen, requested or "any")


def choose(images: Mapping[str, Iterable[Image]], version: str) -> tuple[Release | None, Finding]:
    """The release of that version, from the tagged images of each service. Rebuilt: the newest image counts."""
    fitting = {
        service: [image for image in found if any(same_version(sha, version) for sha in versions_of(image))]
        for service, found in images.items()
    }
    if lacking := sorted(service for service, found in fitting.items() if not found):
        sentence = f"The registry has no image of {version} for {', '.join(lacking)}."
        return None, Finding("release", Verdict.FAILED, sentence, "missing", "an image of each service")
    shas = {sha for found in fitting.values() for it in found for sha in versions_of(it) if same_version(sha, version)}
    if any(not same_version(one, other) for one in shas for other in shas):
        sentence = f"{version} is short for several versions: {', '.join(sorted(shas))}; write more of it."
        return None, Finding("release", Verdict.FAILED, sentence, version, "one version")
    newest = {service: max(found, key=_age).digest for service, found in fitting.items()}
    name = min(shas, key=len)
    return Release(name, newest), Finding("release", Verdict.PASSED, f"{name} is in the registry.", name, version)


def _age(image: Image) -> tuple[float, str]:
    return (image.pushed_at.timestamp() if image.pushed_at else 0.0, image.digest)


def _choose(common: frozenset[str], requested: str | None) -> str | None:
    matching = [version for version in common if requested is None or same_version(version, requested)]
    return matching[0] if len(matching) == 1 else None


def _no_common_version(
    carried: Mapping[str, frozenset[str]], common: frozenset[str], requested: str | None, environment: str
) -> Finding:
    if requested is None and common:
        names = ", ".join(sorted(common))
        return Finding(
            "release",
            Verdict.INCONCLUSIVE,
            f"The images in {environment} carry several versions ({names}); name one by `version`.",
        )
    each = ", ".join(
        f"{service} {'/'.join(sorted(shas)) or 'no version tag'}" for service, shas in sorted(carried.items())
    )
    if requested is not None and common:
        sentence = f"{environment} does not run {requested}: it runs {', '.join(sorted(common))}."
    else:
        sentence = f"{environment} runs a mixture of versions, which is nobody's release: {each}."
    return Finding("release", Verdict.FAILED, sentence, each, requested or "one version in all services")
