"""What image references mean, by the registries of all accounts that moto holds."""

import re
from typing import Any

from moto.ecr.models import ecr_backends

_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def digest_of(image: str) -> str:
    """The digest that an image reference stands for now; empty when the registry has no such image."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        return ""
    if match["digest"]:
        return match["digest"]
    for stored in _images(match["account"], match["region"], match["repository"]):
        if (match["tag"] or "latest") in stored.image_tags:
            return str(stored.get_image_digest())
    return ""


def manifest_of(digest: str) -> str:
    """The manifest (JSON text) of an image of any account. Raises `KeyError` when no registry has it."""
    for account in list(ecr_backends):
        for backend in list(ecr_backends[account].values()):
            for repository in list(backend.repositories.values()):
                for stored in list(repository.images):
                    if stored.get_image_digest() == digest:
                        return str(stored.image_manifest)
    raise KeyError(digest)


def _images(account: str, region: str, repository: str) -> list[Any]:
    found = ecr_backends[account][region].repositories.get(repository)
    return list(found.images) if found is not None else []
