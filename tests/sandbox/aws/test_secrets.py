"""Contract of deployments/sandbox/aws/patches/secrets_manager.py: the default is what is staged AWSCURRENT."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def secrets(open_client: Callable[..., Any]) -> Any:
    return open_client("secretsmanager")


def test_the_default_follows_the_stage(secrets: Any) -> None:
    first = secrets.create_secret(Name="batbern/db", SecretString="old")["VersionId"]
    second = secrets.put_secret_value(SecretId="batbern/db", SecretString="new")["VersionId"]
    assert secrets.get_secret_value(SecretId="batbern/db")["SecretString"] == "new"
    secrets.update_secret_version_stage(
        SecretId="batbern/db", VersionStage="AWSCURRENT", RemoveFromVersionId=second, MoveToVersionId=first
    )
    answer = secrets.get_secret_value(SecretId="batbern/db")
    assert (answer["SecretString"], answer["VersionId"]) == ("old", first)
    assert secrets.get_secret_value(SecretId="batbern/db", VersionStage="AWSPREVIOUS")["SecretString"] == "new"
    assert secrets.get_secret_value(SecretId="batbern/db", VersionId=second)["SecretString"] == "new"


@pytest.mark.parametrize("with_shell", [True, False], ids=["no value", "no secret"])
def test_what_is_not_there_is_not_found(secrets: Any, with_shell: bool) -> None:
    if with_shell:
        secrets.create_secret(Name="batbern/empty")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        secrets.get_secret_value(SecretId="batbern/empty")
