from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.releases import ServiceState, check_running, is_sha, pin, same_version, versions_of
from rules.vocabulary import Image, Service, Verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
EVENTS = Service("events", "Events-", "batbern/events", "app", "/health")
SPEAKERS = Service("speakers", "Speakers-", "batbern/speakers", "app", "/health")


def state(service: str, *digests: str) -> ServiceState:
    return ServiceState(service, f"{service}-x1", f"{service}:7", 2, 2, NOW, frozenset(digests))


def image(digest: str, *tags: str) -> Image:
    return Image("batbern/x", digest, tags)


@pytest.mark.parametrize(
    ("tag", "version"),
    [("3f2a1bc-staging.482", "3f2a1bc"), ("3f2a1bc", "3f2a1bc"), ("3f2a1bc0" * 5, "3f2a1bc0" * 5)],
)
def test_the_version_stands_in_the_tag(tag: str, version: str) -> None:
    assert versions_of(image(A, tag)) == {version}


@pytest.mark.parametrize("tag", ["latest", "v1.2.3", "3f2a1b", "3F2A1BC", "3f2a1bcz", "main-3f2a1bc"])
def test_other_tags_name_no_version(tag: str) -> None:
    assert versions_of(image(A, tag)) == frozenset()


def test_a_service_that_runs_two_images_is_being_deployed() -> None:
    [finding] = check_running([EVENTS], {"events": state("events", A, B)}, "dev")
    assert finding.verdict is Verdict.FAILED
    assert "2 images" in finding.sentence


def test_a_service_without_tasks_and_a_missing_one_are_failures() -> None:
    found = check_running([EVENTS, SPEAKERS], {"events": state("events")}, "dev")
    assert [finding.verdict for finding in found] == [Verdict.FAILED, Verdict.FAILED]


def test_a_release_is_pinned_by_digest() -> None:
    states = {"events": state("events", A), "speakers": state("speakers", B)}
    release, finding = pin(
        states, {"events": image(A, "3f2a1bc-dev.1"), "speakers": image(B, "3f2a1bc-dev.1")}, None, "dev"
    )
    assert finding.verdict is Verdict.PASSED
    assert release is not None
    assert (release.version, release.digests) == ("3f2a1bc", {"events": A, "speakers": B})


def test_a_mixture_of_versions_is_nobodys_release() -> None:
    states = {"events": state("events", A), "speakers": state("speakers", B)}
    release, finding = pin(states, {"events": image(A, "3f2a1bc"), "speakers": image(B, "0000000")}, None, "dev")
    assert release is None
    assert finding.verdict is Verdict.FAILED
    assert "events 3f2a1bc" in finding.sentence
    assert "speakers 0000000" in finding.sentence


def test_an_image_that_the_registry_lost_cannot_be_promoted() -> None:
    release, finding = pin({"events": state("events", A)}, {"events": None}, None, "dev")
    assert release is None
    assert "events" in finding.sentence


def test_another_version_than_the_one_that_runs_is_refused() -> None:
    release, finding = pin({"events": state("events", A)}, {"events": image(A, "3f2a1bc")}, "fffffff", "dev")
    assert release is None
    assert finding.sentence == "dev does not run fffffff: it runs 3f2a1bc."


def test_the_long_sha_names_the_short_tag() -> None:
    release, _ = pin({"events": state("events", A)}, {"events": image(A, "3f2a1bc-dev.9")}, "3f2a1bc" + "0" * 33, "dev")
    assert release is not None


def test_a_rebuild_without_changes_needs_a_name() -> None:
    states, images = {"events": state("events", A)}, {"events": image(A, "3f2a1bc-dev.1", "77777777-dev.2")}
    release, finding = pin(states, images, None, "dev")
    assert (release, finding.verdict) == (None, Verdict.INCONCLUSIVE)
    named, _ = pin(states, images, "77777777", "dev")
    assert named is not None
    assert named.version == "77777777"


def test_an_image_without_a_version_tag_is_not_promoted() -> None:
    release, finding = pin({"events": state("events", A)}, {"events": image(A, "latest")}, None, "dev")
    assert release is None
    assert "no version tag" in finding.sentence


def test_nothing_at_all_is_no_release() -> None:
    release, finding = pin({}, {}, None, "dev")
    assert release is None
    assert finding.verdict is Verdict.FAILED


@given(st.text())
def test_no_text_but_hexadecimal_is_a_sha(text: str) -> None:
    assert is_sha(text) == (7 <= len(text) <= 40 and all(c in "0123456789abcdef" for c in text))


@given(st.text("0123456789abcdef", min_size=7, max_size=40), st.integers(7, 40))
def test_a_shortened_sha_is_the_same_version(sha: str, length: int) -> None:
    assert same_version(sha, sha[:length])
    assert same_version(sha[:length], sha)
