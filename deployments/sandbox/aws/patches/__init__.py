"""What moto lacks or gets wrong, put right: one module per AWS service, one contract test per patch."""

from deployments.sandbox.aws.patches import (
    alarms,
    balancers,
    images,
    metrics,
    objects,
    parameters,
    secrets_manager,
    snapshots,
)
from deployments.sandbox.aws.patches.images import manifest
from deployments.sandbox.aws.patches.seams import Current
from deployments.sandbox.clock import Clock

__all__ = ["Current", "install", "manifest", "tick"]

PATCHES = (metrics, alarms, balancers, parameters, images, snapshots, secrets_manager, objects)


def install(clock: Clock) -> None:
    """Patch moto in this process; a second call only changes the clock."""
    Current.clock = clock
    for patch in PATCHES:
        patch.install()


def tick() -> None:
    """Let time do its work: alarms look at their data, and old data goes."""
    alarms.look()
    metrics.prune_when_due()
