"""AWS's exceptions, translated once: an outage is retried by the tasks, a missing permission is named."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.parsers import ResponseParserError

from rules.errors import Declined, Outage, PromotionError

_PASSING = frozenset(
    {
        "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "LimitExceededException",
        "RequestLimitExceeded", "RequestTimeout", "RequestTimeoutException", "ServerException", "ServiceUnavailable",
        "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException",
        "TooManyUpdates",
    }
)  # fmt: skip
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


_NOT_SENT = (
    NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, ProfileNotFound, NoRegionError,
    ParamValidationError,
)  # fmt: skip
"""Nothing left this machine, and trying again would not change that."""


def code_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def passes(error: ClientError) -> bool:
    """Whether it is likely to be over soon: throttling, or a fault on AWS's side."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in _PASSING or status >= 500  # noqa: PLR2004 - HTTP's own border of server errors


@contextmanager
def translated(system: str, doing: str) -> Iterator[None]:
    """Turns what boto3 raises inside the block into this project's errors; `doing` completes "while …"."""
    try:
        yield
    except ClientError as error:
        raise _translate(error, system, doing) from error
    except _NOT_SENT as error:
        raise Declined(system, doing, 0, str(error)) from error
    except (BotoCoreError, ResponseParserError) as error:  # time-outs, broken connections, answers that are no XML
        raise Outage(system, doing, str(error)) from error
    except KeyError as error:  # botocore reads an unreadable JSON answer as an empty one
        raise Outage(system, doing, f"the answer lacks {error}") from error


def _translate(error: ClientError, system: str, doing: str) -> PromotionError:
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if passes(error):
        return Outage(system, doing, str(error))
    if code in _DENIED:
        return Declined(system, f"{doing} ({error.operation_name})", status, str(error))
    return PromotionError(f"{system} answered {code or status} while {doing}: {error}")
