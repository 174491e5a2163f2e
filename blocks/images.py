"""The door to the image registry (Amazon ECR)."""

from __future__ import annotations  # the client's type is a stub, not there at run time

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from rules.vocabulary import Image

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

SYSTEM = "The image registry (Amazon ECR)"


class Images:
    """Images by digest. `registry_id` is the account that holds the repositories."""

    def __init__(self, ecr: ECRClient, registry_id: str) -> None:
        self._ecr, self._registry_id = ecr, registry_id

    def find(self, repository: str, digest: str) -> Image | None:
        """The image of that digest with its tags, or None when the repository lacks it."""
        with translated(SYSTEM, f"looking for {repository}@{digest[:19]}"):
            try:
                answer = self._ecr.describe_images(
                    registryId=self._registry_id,
                    repositoryName=repository,
                    imageIds=[{"imageDigest": digest}],
                )
            except ClientError as error:
                if code_of(error) in {"ImageNotFoundException", "RepositoryNotFoundException"}:
                    return None
                raise
            details = answer["imageDetails"]
        if not details:
            return None
        return Image(repository, digest, tuple(details[0].get("imageTags", ())), details[0].get("imagePushedAt"))

    def tagged(self, repository: str) -> tuple[Image, ...]:
        """All images of a repository that carry a tag. Empty when there is no such repository."""
        with translated(SYSTEM, f"listing the images of {repository}"):
            pages = self._ecr.get_paginator("describe_images").paginate(
                registryId=self._registry_id, repositoryName=repository, filter={"tagStatus": "TAGGED"}
            )
            try:
                details = [one for page in pages for one in page["imageDetails"]]
            except ClientError as error:
                if code_of(error) == "RepositoryNotFoundException":
                    return ()
                raise
        return tuple(
            Image(repository, one["imageDigest"], tuple(one.get("imageTags", ())), one.get("imagePushedAt"))
            for one in details
        )
