"""The door to what approvers prove themselves with: time-based one-time codes (RFC 6238), as authenticator apps show.

Prefect's open-source server does not know who clicked, so whoever approves enters a code. The secrets are in one
block document of the application, encrypted in Prefect's database; `python -m deployments.enrol` writes them. A code
goes in here and only the number of its 30 seconds comes out.
"""

import hmac
import logging
import re
from datetime import datetime
from typing import Any

import pyotp
from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field

from rules.approvals import CodeCheck, CodeKind

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""A telephone's clock may be off by so many steps."""
OLD_STEPS = 20
"""A code of the last ten minutes is called old, so that people know what happened."""
CODE = re.compile(r"[0-9]{6}")
logger = logging.getLogger(__name__)


class Approvers(Block):
    """Who may approve proves it with a code of his authenticator app."""

    _block_type_name = "Approvers"
    _block_type_slug = "approvers"
    _description = "One-time code secrets of the approvers. Written by `python -m deployments.enrol`."

    # Not dict[str, SecretStr]: of such a field Prefect's server masks nothing.
    secrets: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        description="By person's id in the catalogue: the secret (base 32) that is also in the authenticator app.",
    )

    def enrolled(self) -> frozenset[str]:
        """Ids of the people who have a secret."""
        return frozenset(person for person in self.secrets.get_secret_value() if self._codes(person))

    def check(self, person_id: str, code: str, at: datetime) -> CodeCheck:
        """What a person's code is worth at that time. Says nothing about it having been used; the ledger knows."""
        codes = self._codes(person_id)
        if codes is None:
            return CodeCheck(CodeKind.NOT_ENROLLED)
        typed = "".join(code.split())
        if not CODE.fullmatch(typed):
            return CodeCheck(CodeKind.WRONG)
        return _judged(_matching(codes, typed, _step(at)), _step(at))

    def _codes(self, person_id: str) -> pyotp.TOTP | None:
        """None where there is no secret, or none that holds."""
        secret: Any = self.secrets.get_secret_value().get(person_id)
        if not isinstance(secret, str) or not secret.strip():
            return None
        try:
            return pyotp.TOTP("".join(secret.split()), interval=STEP_SECONDS)
        except ValueError:
            logger.warning("The secret of %s is too short or not base 32: enrol again.", person_id)
            return None


def _step(at: datetime) -> int:
    return int(at.timestamp()) // STEP_SECONDS


def _matching(codes: pyotp.TOTP, typed: str, now: int) -> list[int]:
    """The time steps whose code it is, the newest first. Each is compared, so that the time taken tells nothing."""
    steps = range(now + DRIFT_STEPS, max(now - OLD_STEPS, 0) - 1, -1)
    return [step for step in steps if hmac.compare_digest(codes.generate_otp(step), typed)]


def _judged(matching: list[int], now: int) -> CodeCheck:
    valid = [step for step in matching if step >= now - DRIFT_STEPS]
    if valid:
        return CodeCheck(CodeKind.VALID, valid[0])
    return CodeCheck(CodeKind.OLD if matching else CodeKind.WRONG)
