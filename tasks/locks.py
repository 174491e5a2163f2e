"""One change at a time per environment, by Prefect's concurrency limits. Waiting never locks; running always does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect.concurrency.sync import concurrency

from rules.catalogue import LockPolicy
from rules.errors import Busy


def lock_name(application: str, environment: str) -> str:
    """Name of the global concurrency limit (of one) that `python -m deployments.register` makes."""
    return f"{application}-{environment}"


@contextmanager
def lock(application: str, environment: str, policy: LockPolicy) -> Iterator[None]:
    """Holds the environment. A holder that died frees it when its lease ends: look at the world again inside."""
    name = lock_name(application, environment)
    with ExitStack() as held:
        try:
            held.enter_context(
                concurrency(
                    name,
                    strict=True,  # without it a limit that nobody made would lock nothing
                    timeout_seconds=policy.wait_minutes * 60,
                    lease_duration=policy.lease_seconds,
                    raise_on_lease_renewal_failure=True,
                )
            )
        except TimeoutError as error:
            raise Busy(environment, name, policy.wait_minutes) from error
        yield
