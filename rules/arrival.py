"""Whether a release has really arrived: every service serves exactly the digests of the release."""

from collections.abc import Mapping

from rules.releases import ServiceState
from rules.vocabulary import Finding, Verdict, short


def check_target(
    states: Mapping[str, ServiceState], digests: Mapping[str, str], environment: str
) -> tuple[Finding, ...]:
    """Before the first write: every service is there, has a state to go back to, and nobody else is deploying.

    One finding a service. A deployment in progress to the very image is ours, left by a run that died: the
    promotion goes on with it.
    """
    return tuple(_ready(service, digest, states.get(service), environment) for service, digest in digests.items())


def _ready(service: str, digest: str, state: ServiceState | None, environment: str) -> Finding:
    gate = f"target/{service}"
    if state is None:
        return Finding(gate, Verdict.FAILED, f"{service} was not found in {environment}; create it first.", "missing")
    counts = f"{state.running} of {state.desired} tasks"
    if state.deploying and not state.deploying_to.endswith(f"@{digest}"):
        sentence = f"{service} is being deployed in {environment} by somebody else, to {state.deploying_to}."
        return Finding(gate, Verdict.FAILED, sentence, "deploying", "no deployment in progress")
    if state.deploying:
        return Finding(gate, Verdict.PASSED, f"{service} is on its way to this image in {environment}.", counts)
    if state.desired == 0:
        sentence = (
            f"{service} is scaled to 0 tasks in {environment}, so that nothing could be seen to serve; scale it up."
        )
        return Finding(gate, Verdict.FAILED, sentence, counts, "1 task or more")
    if len(state.digests) > 1:
        sentence = (
            f"{service} runs {len(state.digests)} images in {environment} at once: there is no one state to go back to."
        )
        return Finding(gate, Verdict.FAILED, sentence, " ".join(sorted(state.digests)), "one digest")
    return Finding(gate, Verdict.PASSED, f"{service} is ready in {environment}.", counts)


def check_arrival(
    states: Mapping[str, ServiceState], digests: Mapping[str, str], environment: str
) -> tuple[Finding, ...]:
    """After the roll-out: one finding a service. A service that is stable on another digest has not arrived."""
    return tuple(_arrived(service, digest, states.get(service), environment) for service, digest in digests.items())


def _arrived(service: str, digest: str, state: ServiceState | None, environment: str) -> Finding:
    gate = f"arrival/{service}"
    serving = " ".join(sorted(state.digests)) if state else ""
    if state is None or not state.digests:
        return Finding(gate, Verdict.FAILED, f"{service} serves nothing in {environment}.", "nothing", digest)
    if state.digests != frozenset({digest}):
        return Finding(gate, Verdict.FAILED, f"{service} serves another image in {environment}.", serving, digest)
    if not state.steady:
        counts = f"{state.running} of {state.desired} tasks"
        return Finding(
            gate, Verdict.INCONCLUSIVE, f"{service} serves the release but is not steady.", counts, "all tasks"
        )
    return Finding(gate, Verdict.PASSED, f"{service} serves {short(digest)} in {environment}.", serving, digest)
