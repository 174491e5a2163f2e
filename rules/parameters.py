"""A parameter as one environment holds it, and what AWS allows one to be (SSM Parameter Store).

Limits: https://docs.aws.amazon.com/general/latest/gr/ssm.html
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Never, Self

SECURE = "SecureString"
STANDARD, ADVANCED, INTELLIGENT = "Standard", "Advanced", "Intelligent-Tiering"
DEFAULT_KEY = "alias/aws/ssm"
"""The KMS key that every account has."""

VALUE_BYTES = {STANDARD: 4096, ADVANCED: 8192, INTELLIGENT: 8192}
NAME_LENGTH = 1011
LEVELS = 15

_SECRET_KEY = re.compile(r"passw|secret|token|credential|api[-_.]?key|private[-_.]?key", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----")
_MASK = "Secret(*****)"


class Secret:
    """A value that is compared and handed on, but never shown: `reveal()` is for the wire alone."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> Never:
        # A masked copy would later be written as if it were the value, so there is none.
        raise TypeError("A secret does not leave its process: it cannot be pickled.")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `name` is relative to its environment's root: `database/url`."""

    name: str
    value: Secret | str
    type: str = "String"
    version: int = 0
    """Counted by AWS from 1; 0 for a parameter that is only wished for."""
    tier: str = STANDARD
    key_id: str = ""
    """KMS key of a SecureString: alias, ARN or id. Empty for other types."""
    allowed_pattern: str = ""
    data_type: str = "text"
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    policies: tuple[str, ...] = ()
    """Types of the parameter policies it carries (`Expiration` …), which no promotion copies."""

    @property
    def text(self) -> str:
        """The value itself; for comparing and for the wire, never for a message."""
        return self.value.reveal() if isinstance(self.value, Secret) else self.value


def guarded(name: str, kind: str, value: str) -> Secret | str:
    """The value as it may travel through this program: a Secret when type, name or look say that it is one."""
    hidden = kind == SECURE or _SECRET_KEY.search(name) or _SECRET_VALUE.search(value)
    return Secret(value) if hidden else value


def same_content(one: Parameter, other: Parameter) -> bool:
    """Whether both say the same in all that a version holds (so without tags and version number)."""
    return _content(one) == _content(other)


def _content(it: Parameter) -> tuple[str, ...]:
    key = (it.key_id or DEFAULT_KEY) if it.type == SECURE else ""
    return (it.name, it.text, it.type, it.tier, key, it.allowed_pattern, it.data_type, it.description)


def breaches(parameter: Parameter, root: str) -> tuple[str, ...]:
    """What AWS would refuse about the parameter under that root, in words; empty when nothing."""
    found = [*_size_breaches(parameter), *_name_breaches(root + parameter.name)]
    if not _fits(parameter.allowed_pattern, parameter.text):
        found.append(f"the value does not fit the allowed pattern {parameter.allowed_pattern!r}")
    return tuple(found)


def _size_breaches(parameter: Parameter) -> list[str]:
    size, limit = len(parameter.text.encode()), VALUE_BYTES.get(parameter.tier, VALUE_BYTES[STANDARD])
    if size == 0:
        return ["the value is empty; AWS takes 1 byte or more"]
    if size > limit:
        return [f"the value has {size} bytes; tier {parameter.tier} takes {limit}"]
    return []


def _name_breaches(name: str) -> list[str]:
    found = []
    if len(name) > NAME_LENGTH:
        found.append(f"the full name has {len(name)} characters; AWS takes {NAME_LENGTH}")
    if (levels := name.strip("/").count("/") + 1) > LEVELS:
        found.append(f"the full name has {levels} levels; AWS takes {LEVELS}")
    return found


def _fits(pattern: str, value: str) -> bool:
    # AWS speaks Java's dialect. What Python cannot read is left to AWS, which checks every write itself.
    try:
        return not pattern or re.search(pattern, value) is not None
    except re.error:
        return True
