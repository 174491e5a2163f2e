"""The door to an environment's parameters (AWS Systems Manager Parameter Store).

Every write is compare-and-set as far as AWS allows it: the version is read just before, and the version that AWS
answers with is checked just after. A change that already stands is not made again, so writing may be repeated.
"""

from __future__ import annotations  # the client's types are stubs, not there at run time

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from blocks.aws_errors import code_of, passes, translated
from blocks.patience import Patience
from rules.configuration import ConfigurationChange
from rules.errors import ApplyFailed, Conflict, Outage
from rules.parameters import SECURE, STANDARD, Parameter, guarded, same_content

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

SYSTEM = "The parameter store (AWS Systems Manager)"
WRITES_PER_SECOND = 3.0
"""What AWS grants every account for PutParameter."""
READINGS = 3
BY_PATH_PAGE, DESCRIBE_PAGE, HISTORY_PAGE = 10, 50, 50
"""The most that AWS gives at a time."""


class Parameters:
    """The parameters below `root` (with both slashes). Names on this side of the door are relative to it."""

    def __init__(self, ssm: SSMClient, root: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._ssm, self._root = ssm, root
        self._patience = Patience(WRITES_PER_SECOND, pause)

    def read(self) -> tuple[Parameter, ...]:
        """Every parameter below the root, decrypted, with attributes and tags, by name.

        Raises Outage when AWS does not answer, or when somebody kept writing while we read.
        """
        with _asking(f"reading {self._root}"):
            for _ in range(READINGS):
                values, facts = self._values(), self._facts()
                if _versions(values) == _versions(facts):
                    return tuple(self._parameter({**facts[it], **values[it]}, self._tags(it)) for it in sorted(values))
        raise Outage(SYSTEM, f"reading {self._root}", f"parameters changed during each of {READINGS} readings")

    def history(self, key: str) -> dict[int, Parameter]:
        """What AWS still knows of one parameter, by version, without tags; empty when there is no parameter."""
        name = self._root + key
        call = partial(self._ssm.get_parameter_history, Name=name, WithDecryption=True)
        with _asking(f"reading the history of {name}"):
            try:
                return {it["Version"]: self._parameter(it, {}) for it in self._pages(call, HISTORY_PAGE)}
            except ClientError as error:
                if code_of(error) == "ParameterNotFound":
                    return {}
                raise

    def read_version(self, key: str, version: int) -> Parameter | None:
        """The content of one version, without tags; None when AWS does not have it (any more)."""
        return self.history(key).get(version)

    def tags(self, key: str) -> dict[str, str]:
        with _asking(f"reading the tags of {self._root}{key}"):
            return self._tags(self._root + key)

    def version(self, key: str) -> int | None:
        """The version that stands now, by one call; None when there is no parameter."""
        name = self._root + key
        # Undecrypted: the version is all that is wanted, and the value need not travel in the clear.
        call = partial(self._ssm.get_parameter, Name=name, WithDecryption=False)
        with _asking(f"reading the version of {name}"):
            try:
                return self._patience.ask(call)["Parameter"].get("Version")
            except ClientError as error:
                if code_of(error) == "ParameterNotFound":
                    return None
                raise

    def write(self, change: ConfigurationChange) -> int:
        """Make the change against the version that the plan saw; returns the version that now stands.

        Raises Conflict when somebody else's version stands there, ApplyFailed when AWS refuses the parameter,
        Outage when AWS does not answer.
        """
        if (found := self.version(change.key)) != change.before:
            return self._already(change.desired, change.before)
        if found is None:
            return self._add(change.desired)
        version = self.overwrite(change.desired, found) if change.writes_version else found
        self.set_tags(change.key, change.tags)
        return version

    def overwrite(self, desired: Parameter, before: int) -> int:
        """Put a new version onto version `before`; tags are left as they are. Errors as `write`."""
        version = self._put(
            desired, Overwrite=True, Description=desired.description, AllowedPattern=desired.allowed_pattern
        )
        if version == before + 1:
            return version
        between = self.read_version(desired.name, version - 1)
        if between is None:
            raise ApplyFailed(
                f"{self._root}{desired.name} jumped from version {before} to {version}. A person must look."
            )
        if not same_content(between, desired):  # else it was our own request, arriving twice
            self._put(between, Overwrite=True, Description=between.description, AllowedPattern=between.allowed_pattern)
            raise Conflict(self._root + desired.name, before, between.version)
        return version

    def delete(self, key: str, expected_version: int) -> None:
        """Remove the parameter if it stands at that version; nothing happens when it is already gone."""
        found = self.version(key)
        if found is None:
            return
        if found != expected_version:
            raise Conflict(self._root + key, expected_version, found)
        call = partial(self._ssm.delete_parameter, Name=self._root + key)
        with _asking(f"deleting {self._root}{key}"):
            try:
                self._patience.write(call)
            except ClientError as error:
                if code_of(error) != "ParameterNotFound":
                    raise

    def set_tags(self, key: str, tags: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Add and remove tags. A call of its own: AWS refuses tags together with an overwrite."""
        where: dict[str, Any] = {"ResourceType": "Parameter", "ResourceId": self._root + key}
        gone = list(remove)
        with _asking(f"setting the tags of {self._root}{key}"):
            if tags:
                self._patience.write(partial(self._ssm.add_tags_to_resource, **where, Tags=_tag_list(tags)))
            if gone:
                self._patience.write(partial(self._ssm.remove_tags_from_resource, **where, TagKeys=gone))

    def _already(self, desired: Parameter, before: int | None) -> int:
        """An earlier attempt of ours may have got through: then only the tags can be missing."""
        versions = self.history(desired.name)
        current = versions[max(versions)] if versions else None
        if current is None or not same_content(current, desired):
            raise Conflict(self._root + desired.name, _numbered(before), _numbered(max(versions, default=None)))
        present = self.tags(desired.name)
        self.set_tags(desired.name, {name: it for name, it in desired.tags.items() if present.get(name) != it})
        return current.version

    def _add(self, desired: Parameter) -> int:
        given = {"Description": desired.description, "AllowedPattern": desired.allowed_pattern}
        extra = {name: value for name, value in given.items() if value}
        tags = {"Tags": _tag_list(desired.tags)} if desired.tags else {}
        try:
            return self._put(desired, Overwrite=False, **extra, **tags)
        except _AlreadyThere:
            return self._already(desired, None)

    def _put(self, it: Parameter, **arguments: Any) -> int:
        name = self._root + it.name
        key = {"KeyId": it.key_id} if it.type == SECURE and it.key_id else {}
        arguments |= {"Name": name, "Value": it.text, "Type": it.type, "Tier": it.tier, "DataType": it.data_type, **key}
        with _putting(name, it.text):
            return self._patience.write(partial(self._ssm.put_parameter, **arguments))["Version"]

    def _values(self) -> dict[str, Any]:
        call = partial(self._ssm.get_parameters_by_path, Path=self._path, Recursive=True, WithDecryption=True)
        return {it["Name"]: it for it in self._pages(call, BY_PATH_PAGE) if it["Name"].startswith(self._root)}

    def _facts(self) -> dict[str, Any]:
        below: list[Any] = [{"Key": "Path", "Option": "Recursive", "Values": [self._path]}]
        call = partial(self._ssm.describe_parameters, ParameterFilters=below)
        return {it["Name"]: it for it in self._pages(call, DESCRIBE_PAGE) if it["Name"].startswith(self._root)}

    @property
    def _path(self) -> str:
        return self._root.rstrip("/") or "/"

    def _pages(self, call: Callable[..., Any], size: int) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._patience.ask(partial(call, MaxResults=size, **token))
            yield from page["Parameters"]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _tags(self, name: str) -> dict[str, str]:
        call = partial(self._ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId=name)
        return {it["Key"]: it["Value"] for it in self._patience.ask(call)["TagList"]}

    def _parameter(self, it: Mapping[str, Any], tags: Mapping[str, str]) -> Parameter:
        name = it["Name"].removeprefix(self._root)
        return Parameter(
            name=name,
            value=guarded(name, it["Type"], it["Value"]),
            type=it["Type"],
            version=it["Version"],
            tier=it.get("Tier", STANDARD),
            key_id=it.get("KeyId", "") if it["Type"] == SECURE else "",
            allowed_pattern=it.get("AllowedPattern", ""),
            data_type=it.get("DataType", "text"),
            tags=tags,
            description=it.get("Description", ""),
            policies=tuple(policy.get("PolicyType", "unknown") for policy in it.get("Policies", ())),
        )


class _AlreadyThere(Exception):
    pass


@contextmanager
def _asking(doing: str) -> Iterator[None]:
    """Translates what goes wrong. An answer without what was asked for is no answer, never an empty one."""
    with translated(SYSTEM, doing):
        try:
            yield
        except KeyError as error:
            raise Outage(SYSTEM, doing, f"the answer has no {error}") from error


@contextmanager
def _putting(name: str, value: str) -> Iterator[None]:
    """Translates AWS's refusal of a parameter. The cause is cut off and the value taken out: it may be a secret."""
    try:
        yield
    except ClientError as error:
        if code_of(error) == "ParameterAlreadyExists":
            raise _AlreadyThere from None
        said = str(error).replace(value, "*****")
        if passes(error):
            raise Outage(SYSTEM, f"writing {name}", said) from None
        raise ApplyFailed(f"AWS refused to write {name}: {said}") from None
    except ParamValidationError as error:
        raise ApplyFailed(f"{name} cannot be written: {str(error).replace(value, '*****')}") from None
    except KeyError as error:
        raise Outage(SYSTEM, f"writing {name}", f"the answer has no {error}") from None
    except BotoCoreError as error:
        raise Outage(SYSTEM, f"writing {name}", str(error).replace(value, "*****")) from None


def _numbered(version: int | None) -> str:
    return "no parameter" if version is None else f"version {version}"


def _versions(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: it["Version"] for name, it in parameters.items()}


def _tag_list(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]
