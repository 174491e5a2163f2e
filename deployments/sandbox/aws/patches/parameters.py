"""Parameter Store's limits and secrecy: what SSM refuses, moto takes.

Sizes count bytes of UTF-8. A SecureString read without decryption shows an opaque text, as the real cipher does.
"""

import base64
import hmac
import json
import os
import re
from collections import deque
from typing import Any

from deployments.sandbox.aws.patches.seams import Current, original, refusal, replace

STANDARD_BYTES, ADVANCED_BYTES = 4096, 8192
MAX_LEVELS, MAX_NAMES, MAX_NAME = 15, 10, 1011
NAME = re.compile(r"[a-zA-Z0-9_.\-/]+")
CIPHER_KEY = os.urandom(16)
SAME_NAME_SECONDS = 0.1


def install() -> None:
    from moto.ssm.models import Parameter, SimpleSystemManagerBackend
    from moto.ssm.responses import SimpleSystemManagerResponse

    replace(SimpleSystemManagerBackend, "put_parameter", put_parameter)
    replace(SimpleSystemManagerBackend, "delete_parameters", delete_parameters)
    replace(SimpleSystemManagerResponse, "put_parameter", remember_author)
    replace(SimpleSystemManagerResponse, "get_parameter", get_parameter)
    replace(SimpleSystemManagerResponse, "get_parameters", get_parameters)
    replace(Parameter, "response_object", response_object)
    replace(Parameter, "describe_response_object", describe_response_object)


def put_parameter(self: Any, name: str, *rest: Any, tier: str | None = None, policies: str | None = None) -> Any:
    """`rest`: description, value, type, allowed pattern, key, overwrite, tags, data type."""
    _, value, kind, pattern, key, overwrite, *_ = rest
    _within_throughput(self, name)
    _legal_name(name)
    before = self.get_parameter(name)
    if value and "{{" in value:
        raise refusal("ValidationException", "Parameter value can't nest another parameter. Do not use {{}}.")
    if before is None or overwrite:
        tier = _tier(tier, len((value or "").encode()), before, policies)
        _fits_pattern(value, pattern or (before.allowed_pattern if before else None))
        _known_key(self, kind or (before.parameter_type if before else ""), key)
    return original(type(self), "put_parameter")(self, name, *rest, tier=tier, policies=policies)


def delete_parameters(self: Any, names: list[str]) -> Any:
    if len(names) > MAX_NAMES:
        reason = f"{len(names)} names failed to satisfy constraint: Member must have length less than or equal to 10."
        raise refusal("ValidationException", f"1 validation error detected: {reason}")
    return original(type(self), "delete_parameters")(self, names)


def remember_author(self: Any) -> Any:
    """PutParameter, then note who did it: the backend does not know the caller."""
    answer = original(type(self), "put_parameter")(self)
    self.ssm_backend.get_parameter(self._get_param("Name")).author = caller_arn(self)
    return answer


def get_parameter(self: Any) -> Any:
    answer = original(type(self), "get_parameter")(self)
    answer.result["Parameter"] = _selected(answer.result["Parameter"], self._get_param("Name"))
    return answer


def get_parameters(self: Any) -> Any:
    from moto.core.responses import ActionResult

    names, decrypt = self._get_param("Names"), self._get_param("WithDecryption")
    found = self.ssm_backend.get_parameters(names)
    shown = [_selected(found[n].response_object(decrypt, self.region), n) for n in names if n in found]
    return ActionResult({"Parameters": shown, "InvalidParameters": [n for n in names if n not in found]})


def response_object(self: Any, decrypt: bool = False, region: str | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = original(type(self), "response_object")(self, decrypt, region)
    shown.pop("Policies", None)
    if self.parameter_type == "SecureString" and not decrypt:
        shown["Value"] = _cipher(self.name, self.version, self.value)
    return shown


def describe_response_object(self: Any, decrypt: bool = False, include_labels: bool = False) -> dict[str, Any]:
    from moto.ssm.utils import parameter_arn

    shown: dict[str, Any] = original(type(self), "describe_response_object")(self, decrypt, include_labels)
    shown["LastModifiedUser"] = getattr(self, "author", f"arn:aws:iam::{self.account_id}:root")
    shown["ARN"] = parameter_arn(self.account_id, Current.region, self.name)
    shown["Policies"] = [
        {"PolicyText": json.dumps(p), "PolicyType": p["Type"], "PolicyStatus": "Pending"}
        for p in json.loads(self.policies or "[]")
    ]
    return shown


def caller_arn(response: Any) -> str:
    """ARN of who sent the request that this moto response object answers."""
    from moto.sts.models import sts_backends

    role = sts_backends[response.current_account]["aws"].get_assumed_role_from_access_key(response.access_key)
    return str(role.arn) if role else f"arn:aws:iam::{response.current_account}:root"


def _legal_name(name: str) -> None:
    if not NAME.fullmatch(name):
        allowed = "only a mix of letters, numbers and the following 4 symbols .-_/ is allowed"
        raise refusal("ValidationException", f"Parameter name: {allowed}. The name is {name}.")
    if "/" in name and not name.startswith("/"):
        raise refusal("ValidationException", f"Parameter name must be a fully qualified name: {name}.")
    if name.endswith("/") or "//" in name or len(name) > MAX_NAME:
        raise refusal("ValidationException", f"Parameter name: empty level, or longer than {MAX_NAME}: {name[:80]}")
    if name.count("/") > MAX_LEVELS:
        reason = f"A parameter name hierarchy can have at most {MAX_LEVELS} levels; {name} has {name.count('/')}."
        raise refusal("HierarchyLevelLimitExceededException", reason)


def _tier(asked: str | None, size: int, before: Any, policies: str | None) -> str:
    """The tier that the parameter gets; ValidationException when the value does not fit it."""
    was_advanced = before is not None and before.tier == "Advanced"
    if asked == "Standard" and was_advanced:
        raise refusal("ValidationException", "This parameter uses the advanced-parameter tier and cannot go back.")
    needs_advanced = size > STANDARD_BYTES or bool(policies)
    if asked == "Advanced" or was_advanced or (asked == "Intelligent-Tiering" and needs_advanced):
        tier, limit = "Advanced", ADVANCED_BYTES
    else:
        tier, limit = "Standard", STANDARD_BYTES
    if size > limit:
        reason = f"{tier} tier parameters support a maximum parameter value of {limit} characters; this has {size}."
        raise refusal("ValidationException", reason)
    if policies and tier == "Standard":
        raise refusal("ValidationException", "Parameter policies need the advanced-parameter tier.")
    return tier


def _fits_pattern(value: str, pattern: str | None) -> None:
    try:
        fits = not pattern or re.fullmatch(pattern, value or "")
    except re.error as error:
        raise refusal("InvalidAllowedPatternException", f"{pattern} is no regular expression: {error}.") from error
    if not fits:
        reason = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
        raise refusal("ParameterPatternMismatchException", reason)


def _known_key(backend: Any, kind: str, key: str | None) -> None:
    if kind != "SecureString" or key in {None, "", "alias/aws/ssm"}:
        return
    from moto.kms.models import kms_backends

    keys = kms_backends[backend.account_id][backend.region_name]
    is_alias = str(key).startswith("alias/") or ":alias/" in str(key)
    known = keys.alias_exists(keys.get_alias_name(key)) if is_alias else keys.get_key_id(key) in keys.keys
    if not known:
        raise refusal("InvalidKeyId", f"Invalid keyId {key}")


def _within_throughput(backend: Any, name: str) -> None:
    """With a limit set, more writes in a second than it are throttled, and two at once to one name collide."""
    limit = Current.parameter_writes_per_second
    if limit is None:
        return
    now = Current.clock.monotonic()
    recent: deque[tuple[float, str]] = backend.__dict__.setdefault("_recent_writes", deque())
    while recent and recent[0][0] <= now - 1:
        recent.popleft()
    if any(other == name and now - at < SAME_NAME_SECONDS for at, other in recent):
        raise refusal("TooManyUpdates", f"There are concurrent updates for a resource ({name}).")
    if len(recent) >= limit:
        raise refusal("ThrottlingException", "Rate exceeded")
    recent.append((now, name))


def _selected(shown: dict[str, Any], asked: str) -> dict[str, Any]:
    """`name:3` and `name:label` are answered with their selector."""
    found = re.search(r"[^:/]+(:[^:/]+)$", asked) if not asked.startswith("arn:") else None
    return shown | {"Selector": found[1]} if found else shown


def _cipher(name: str, version: int, value: str) -> str:
    digest = hmac.digest(CIPHER_KEY, f"{name}\0{version}\0{value}".encode(), "sha512")
    return "AQICAHh" + base64.b64encode(digest).decode()
