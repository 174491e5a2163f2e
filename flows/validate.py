"""The validation suite of what runs in one environment: every gate asked side by side, and kept as evidence."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.announcing import announce_cancellation
from tasks.endings import ending
from tasks.promotions import pin_release
from tasks.validations import begin_validation, refuse_unless_valid, validate_anew, validation_completed


@flow(
    name="validate",
    flow_run_name="{application}-in-{environment}",
    on_cancellation=[announce_cancellation],
    persist_result=False,
)
@ending
def validate(application: str, environment: str, version: str = "") -> State[Any] | None:
    """Validates the release that runs in an environment; a promotion from there within a day needs not repeat it.

    Regression suite, load test, security scans, the schema beside the next environment's, and pending migrations on
    a scratch database. Nothing is deployed. Of production only reads are asked, and no load is put on it.

    Args:
        application: The application, as its catalogue names it.
        environment: Where the release runs that is validated.
        version: Git SHA that must run there, 7 to 40 digits. Leave it empty for whatever runs.

    """
    promotion = begin_validation(application, environment, version)
    release, findings = pin_release(promotion)
    findings += validate_anew(promotion, release)
    release = refuse_unless_valid(promotion, release, findings)
    return validation_completed(promotion, release, findings)
