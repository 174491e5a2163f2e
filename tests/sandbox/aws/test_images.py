"""Contract of deployments/sandbox/aws/patches/images.py: digests and tags as the registry keeps them."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.host import AwsStandIn

REPOSITORY = "batbern/event-management"
MEDIA = "application/vnd.oci.image.manifest.v1+json"


def manifest(revision: str) -> str:
    notes = {"org.opencontainers.image.revision": revision}
    return json.dumps({"schemaVersion": 2, "mediaType": MEDIA, "layers": [], "annotations": notes})


def digest(revision: str) -> str:
    return "sha256:" + hashlib.sha256(manifest(revision).encode()).hexdigest()


@pytest.fixture
def ecr(open_client: Callable[..., Any]) -> Any:
    client = open_client("ecr", account="111111111111")
    client.create_repository(repositoryName=REPOSITORY)
    return client


def push(ecr: Any, revision: str, tag: str) -> str:
    image = ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest(revision), imageTag=tag)["image"]
    return str(image["imageId"]["imageDigest"])


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(repositoryName=REPOSITORY, **arguments)
    return str(caught.value.response["Error"]["Code"])


def described(ecr: Any, **image: str) -> dict[str, Any]:
    (detail,) = ecr.describe_images(repositoryName=REPOSITORY, imageIds=[image])["imageDetails"]
    return dict(detail)


def test_the_digest_is_the_hash_of_the_manifest(ecr: Any) -> None:
    assert push(ecr, "one", "v1") == digest("one")
    assert push(ecr, "two", "v2") == digest("two")
    assert described(ecr, imageTag="v1")["imageDigest"] == digest("one")


def test_a_tag_that_moves_leaves_its_image_untagged(ecr: Any) -> None:
    push(ecr, "one", "latest")
    push(ecr, "two", "latest")
    assert described(ecr, imageTag="latest")["imageDigest"] == digest("two")
    assert "imageTags" not in described(ecr, imageDigest=digest("one"))
    assert len(ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]) == 2


def test_a_tag_can_move_back(ecr: Any) -> None:
    for revision in ("one", "two", "one"):
        push(ecr, revision, "latest")
    assert described(ecr, imageTag="latest")["imageDigest"] == digest("one")


def test_an_image_can_have_two_tags(ecr: Any) -> None:
    push(ecr, "one", "v1")
    push(ecr, "one", "latest")
    assert sorted(described(ecr, imageDigest=digest("one"))["imageTags"]) == ["latest", "v1"]


def test_the_same_push_again_is_refused(ecr: Any) -> None:
    push(ecr, "one", "v1")
    again = {"imageManifest": manifest("one"), "imageTag": "v1"}
    assert refused(ecr.put_image, **again) == "ImageAlreadyExistsException"


def test_a_digest_that_is_not_the_manifests_is_refused(ecr: Any) -> None:
    wrong = {"imageManifest": manifest("one"), "imageTag": "v1", "imageDigest": digest("two")}
    assert refused(ecr.put_image, **wrong) == "ImageDigestDoesNotMatchException"


def test_an_immutable_tag_does_not_move(ecr: Any) -> None:
    ecr.put_image_tag_mutability(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    push(ecr, "one", "v1")
    moved = {"imageManifest": manifest("two"), "imageTag": "v1"}
    assert refused(ecr.put_image, **moved) == "ImageTagAlreadyExistsException"


@pytest.mark.parametrize("image", [{"imageTag": "none"}, {"imageDigest": digest("none")}], ids=["tag", "digest"])
def test_an_image_that_is_not_there_is_said_not_to_be(ecr: Any, image: dict[str, str]) -> None:
    push(ecr, "one", "v1")
    assert refused(ecr.describe_images, imageIds=[image]) == "ImageNotFoundException"
    answer = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "v1"}, image])
    assert [(f["imageId"], f["failureCode"]) for f in answer["failures"]] == [(image, "ImageNotFound")]
    assert answer["images"][0]["imageManifest"] == manifest("one")


def test_the_stand_in_finds_a_manifest_by_its_digest(aws: AwsStandIn, ecr: Any) -> None:
    push(ecr, "one", "v1")
    assert aws.manifest(digest("one")) == manifest("one")
    with pytest.raises(KeyError):
        aws.manifest(digest("none"))
