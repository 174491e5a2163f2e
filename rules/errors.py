"""What can go wrong, drawn as a tree.

    PromotionError
    ├── InvalidInput        something from outside is not what it must be; nothing was done
    ├── Refused             gates are not met; nothing was written
    ├── Rejected            people said no, or nobody answered in time; nothing was written
    ├── Superseded          a newer plan took this one's place while it waited; nothing was written
    ├── Ended               the run had ended before and was begun again; nothing was written
    ├── SnapshotFailed      the database could not be snapshotted; nothing else was begun
    ├── RolloutFailed       traffic did not arrive, or did not stay, on the new revision
    ├── Busy                another run holds the environment; nothing was written
    ├── Conflict            somebody else changed what we were about to change
    ├── ApplyFailed         a change of configuration or flags could not be completed
    ├── PutBack             the promotion failed and everything was put back
    ├── PutBackFailed       the promotion failed and so did putting back: a person is needed now
    ├── Declined            an outside system understood and said no: permission, unknown name; never retried
    └── Outage              an outside system did not answer, or answered nonsense; retried by the tasks

Each message names the thing, what was found, what was allowed, and what to do next.
"""

from collections.abc import Sequence

from rules.vocabulary import Finding, unmet


class PromotionError(Exception):
    """Anything that this product raises on purpose."""


class InvalidInput(PromotionError):
    def __init__(self, what: str, found: object, allowed: str, remedy: str = "") -> None:
        super().__init__(f"{what} is {found!r}; allowed is {allowed}." + (f" {remedy}" if remedy else ""))


class Refused(PromotionError):
    """Gates said no. Lists all of them, because a refusal that tells one reason at a time costs a day each."""

    def __init__(self, subject: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(f"{subject} refused: {' '.join(_reason(finding) for finding in unmet(findings))}")


def _reason(finding: Finding) -> str:
    met = f" Could be met: {finding.could_be_met.removesuffix('.')}." if finding.could_be_met else ""
    return f"[{finding.gate}] {finding.sentence}{met}"


class Rejected(PromotionError):
    """The people who were asked do not want it, or did not answer before the deadline."""


class Superseded(PromotionError):
    """A newer promotion of the same application to the same environment was asked for meanwhile."""


class Ended(PromotionError):
    """A run that has ended was begun again, by `Retry` in the UI: nobody would look after it, nor be asked again."""

    def __init__(self, run_id: str, how: str) -> None:
        super().__init__(f"Run {run_id} ended before: {how}. What it was allowed then is over; start a new run.")


class SnapshotFailed(PromotionError):
    def __init__(self, why: str) -> None:
        super().__init__(f"No snapshot, no change: {why} Nothing else was begun; run again when it is mended.")


class RolloutFailed(PromotionError):
    def __init__(self, service: str, why: str) -> None:
        self.service = service
        super().__init__(f"Roll-out of {service} failed: {why}")


class Busy(PromotionError):
    def __init__(self, environment: str, lock: str, minutes: float) -> None:
        super().__init__(
            f"{environment} has been busy for {minutes:g} minutes: another run holds the lock {lock!r}. "
            "Nothing was written. Look at the running flows, then run again."
        )


class Conflict(PromotionError):
    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(
            f"{what} was changed by somebody else: planned against {expected!r}, found {found!r}. "
            "Nothing was overwritten; run the promotion again to plan against what is there now."
        )


class ApplyFailed(PromotionError):
    pass


class PutBack(PromotionError):
    """The promotion failed after its first write and the target is again what it was before."""

    def __init__(self, cause: str, restored: Sequence[str], now: str) -> None:
        self.restored = tuple(restored)
        super().__init__(f"{cause} Put back: {', '.join(restored) or 'nothing had been changed'}. {now}")


class PutBackFailed(PromotionError):
    def __init__(self, cause: str, restored: Sequence[str], stuck: Sequence[str]) -> None:
        self.restored, self.stuck = tuple(restored), tuple(stuck)
        super().__init__(
            f"{cause} Putting back did not finish. Put back: {', '.join(restored) or 'nothing'}. "
            f"STILL CHANGED: {'; '.join(stuck)}. A person must look now."
        )


class Declined(PromotionError):
    """An outside system understood what we asked and said no. Asking again would change nothing."""

    def __init__(self, system: str, doing: str, status: int, said: str) -> None:
        self.system, self.status = system, status
        super().__init__(
            f"{system} declined while {doing}: {status or 'not sent'} {said}. "
            "Check the permissions of the credentials and the names in the catalogue."
        )


class Outage(PromotionError):
    """An outside system is not answering as it should. Retried; never read as a pass or as a refusal."""

    def __init__(self, system: str, doing: str, what: str, *, retry_after: float | None = None) -> None:
        self.system, self.retry_after = system, retry_after
        super().__init__(f"{system} did not answer while {doing}: {what}")
