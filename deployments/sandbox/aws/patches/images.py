"""The registry's digests: sha256 of the manifest's bytes. A tag that moves leaves its old image behind, untagged."""

import hashlib
from typing import Any

from deployments.sandbox.aws.patches.seams import original, refusal, replace


def install() -> None:
    from moto.ecr.models import ECRBackend

    replace(ECRBackend, "put_image", put_image)
    replace(ECRBackend, "batch_get_image", batch_get_image)


def digest_of(manifest: str) -> str:
    return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()


def put_image(
    self: Any,
    repository_name: str,
    image_manifest: str,
    image_tag: str | None,
    *rest: str | None,
) -> Any:
    """`rest`: the media type and the digest, where the caller gave them."""
    media_type, digest = (*rest, None, None)[:2]
    repository = self._get_repository(repository_name)
    true_digest = digest_of(image_manifest)
    if digest not in {None, true_digest}:
        reason = f"The manifest has the digest {true_digest}, not {digest}."
        raise refusal("ImageDigestDoesNotMatchException", reason)
    kept = next((image for image in repository.images if image.image_digest == true_digest), None)
    if kept is not None and (image_tag is None or image_tag in kept.image_tags):
        _refuse_repetition(repository, kept, image_tag)
    for owner in _owners(repository, image_tag):
        _untag(owner, image_tag)
    if kept is not None:
        kept.update_tag(image_tag)
        return kept
    put = original(type(self), "put_image")
    return put(self, repository_name, image_manifest, image_tag, media_type, true_digest)


def batch_get_image(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Moto forgets the digest that was asked for."""
    answer = original(type(self), "batch_get_image")(self, *args, **kwargs)
    asked = kwargs.get("image_ids") or args[2]
    found = {image.image_digest for image in answer["images"]} | {
        tag for image in answer["images"] for tag in image.image_tags
    }
    lacking = [i for i in asked if not {i.get("imageDigest"), i.get("imageTag")} & found]
    answer["failures"] = [failure | {"imageId": i} for failure, i in zip(answer["failures"], lacking, strict=False)]
    return answer


def manifest(digest: str) -> str:
    """The manifest of a digest in any account's registry; KeyError when none has it."""
    from moto.ecr.models import ecr_backends

    for account in list(ecr_backends.values()):
        for backend in list(account.values()):
            for repository in list(backend.repositories.values()):
                for image in repository.images:
                    if image.image_digest == digest:
                        return str(image.image_manifest)
    raise KeyError(digest)


def _owners(repository: Any, tag: str | None) -> list[Any]:
    """The images that the tag leaves; ImageTagAlreadyExistsException when it must not move."""
    owners = [image for image in repository.images if tag is not None and tag in image.image_tags]
    if owners and repository.is_tag_immutable():
        reason = f"The image tag '{tag}' already exists in '{repository.name}' and is immutable."
        raise refusal("ImageTagAlreadyExistsException", reason)
    return owners


def _untag(image: Any, tag: str | None) -> None:
    image.image_tags = [other for other in image.image_tags if other != tag]
    image.image_tag = image.image_tags[-1] if image.image_tags else None


def _refuse_repetition(repository: Any, image: Any, tag: str | None) -> None:
    reason = f"Image with digest '{image.image_digest}' and tag '{tag}' already exists in {repository.name}."
    raise refusal("ImageAlreadyExistsException", reason)
