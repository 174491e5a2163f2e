"""A secret's default version is the one staged AWSCURRENT, also after the stage was moved."""

from typing import Any

from deployments.sandbox.aws.patches.seams import original, replace


def install() -> None:
    from moto.secretsmanager.models import SecretsManagerBackend

    replace(SecretsManagerBackend, "get_secret_value", get_secret_value)


def get_secret_value(self: Any, secret_id: str, version_id: str | None, version_stage: str | None) -> Any:
    stage = version_stage if version_id or version_stage else _default_stage(self, secret_id)
    return original(type(self), "get_secret_value")(self, secret_id, version_id, stage)


def _default_stage(backend: Any, secret_id: str) -> str | None:
    if secret_id not in backend.secrets:
        return None
    versions = backend.secrets[secret_id].versions.values()
    return "AWSCURRENT" if any("AWSCURRENT" in version["version_stages"] for version in versions) else None
