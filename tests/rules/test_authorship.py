"""Who wrote the change, since when, and what is told of it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.authorship import (
    GATE,
    MOST_VERSIONS,
    SHOWN,
    Authors,
    Baseline,
    Commit,
    Relation,
    Signature,
    baseline,
    cannot_know,
    check_authors,
    check_versions,
    co_authors,
    last_served,
    no_repository,
    recorded_versions,
    signature,
    who,
)
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Finding, Service, Verdict

LEA = Signature("lea baumann", "lea.baumann@batbern.example", "leab")
ANNA = Signature("anna meier", "anna.meier@batbern.example", "annam")
SERVICES = tuple(Service(id_, id_, f"batbern/{id_}", "app", "/health") for id_ in ("events", "gateway"))
ONE = Baseline(("1111111",))


def commits(*people: Signature) -> tuple[Commit, ...]:
    return tuple(Commit(f"{at:040x}", (person,)) for at, person in enumerate(people))


def check(*found: Authors, before: Baseline = ONE) -> Finding:
    return check_authors(found, before, "2222222", "production", "batbern/platform")


def ahead(*people: Signature) -> Authors:
    return Authors("1111111", Relation.AHEAD, commits(*people))


# --- what a commit says ----------------------------------------------------------------------------------------------


def test_a_hidden_address_tells_the_login() -> None:
    assert signature("Anna", "4711+AnnaM@users.noreply.github.com") == Signature(
        "anna", "4711+annam@users.noreply.github.com", "annam"
    )
    assert signature("", "annam@users.noreply.github.com") == Signature("", "annam@users.noreply.github.com", "annam")


def test_the_login_that_github_tells_goes_before_the_one_in_the_address() -> None:
    found = signature("", "1+old@users.noreply.github.com", "New")
    assert found is not None
    assert found.login == "new"


def test_what_is_committed_in_the_browser_is_committed_by_nobody() -> None:
    assert signature("GitHub", "noreply@github.com", "web-flow") is None
    assert signature("GitHub", "NoReply@GitHub.com") is None
    assert signature("web-flow", "someone@batbern.example") is not None


@pytest.mark.parametrize(
    "trailer",
    [
        "Co-authored-by: Anna Meier <anna.meier@batbern.example>",
        "co-authored-by:Anna Meier<anna.meier@batbern.example>",
        "  CO-AUTHORED-BY : Anna  Meier  <Anna.Meier@BATbern.example> ",
        "Co-Authored-By: Anna Meier anna.meier@batbern.example",
    ],
)
def test_co_authors_are_found_however_they_are_written(trailer: str) -> None:
    message = f"Search\n\nBetter.\n\n{trailer}\nSigned-off-by: Lea <lea@batbern.example>\n"
    assert co_authors(message) == (Signature("anna meier", "anna.meier@batbern.example"),)


def test_several_co_authors_count_and_those_without_an_address_do_not() -> None:
    message = "Pairing\r\n\r\nCo-authored-by: A <a@x.example>\r\nCo-authored-by: B <b@x.example>\r\nCo-authored-by: C"
    assert [one.email for one in co_authors(message)] == ["a@x.example", "b@x.example"]


@given(st.text(max_size=500))
def test_no_message_is_too_strange(message: str) -> None:
    for one in co_authors(f"x\nCo-authored-by: {message}"):
        assert "@" in one.email
        assert one.names == frozenset(name.lower() for name in one.names)


# --- what runs -------------------------------------------------------------------------------------------------------


def carried(**versions: str) -> dict[str, dict[str, frozenset[str]]]:
    """`events="1111111 2222222"`: one digest of these versions."""
    return {service: {f"sha256:{service}": frozenset(shas.split())} for service, shas in versions.items()}


def test_one_version_in_all_services_is_the_baseline() -> None:
    assert baseline(SERVICES, carried(events="1111111", gateway="1111111")) == ONE
    assert ONE.is_whole


def test_of_images_with_several_versions_the_common_ones_count() -> None:
    found = baseline(SERVICES, carried(events="1111111 2222222", gateway="2222222 3333333"))
    assert found == Baseline(("2222222",))


def test_a_mixture_counts_as_all_of_its_versions() -> None:
    found = baseline(SERVICES, carried(events="1111111", gateway="2222222"))
    assert found == Baseline(("1111111", "2222222"))
    rolling = {"events": {"sha256:a": frozenset({"1111111"}), "sha256:b": frozenset({"2222222"})}}
    assert baseline(SERVICES[:1], rolling) == Baseline(("1111111", "2222222"))


def test_an_image_of_no_known_version_is_named() -> None:
    found = baseline(SERVICES, carried(events="1111111", gateway=""))
    assert found == Baseline(("1111111",), unnamed=("gateway",))
    assert not found.is_whole


def test_a_service_that_does_not_run_yet_is_named() -> None:
    found = baseline(SERVICES, carried(events="1111111"))
    assert found == Baseline(("1111111",), absent=("gateway",))
    assert found.is_whole


def test_nothing_runs_and_that_is_no_baseline() -> None:
    found = baseline(SERVICES, {})
    assert found == Baseline((), absent=("events", "gateway"))
    assert not found.is_whole


def test_a_service_that_is_down_is_judged_by_what_it_ran_before() -> None:
    down = baseline(SERVICES, {}, {"events": "1111111", "gateway": "1111111", "gone": "9999999"})
    assert down == Baseline(("1111111",), absent=("events", "gateway"), served=True)
    assert down.is_whole
    one = baseline(SERVICES, carried(events="2222222"), {"events": "9999999", "gateway": "1111111"})
    assert one == Baseline(("1111111", "2222222"), absent=("gateway",), served=True)


def planned(previous: Record | None, kind: EventKind, **details: object) -> Record:
    event = Event("run", "", "production", kind, "A plan.", details)
    return chain(previous, event, datetime(2026, 11, 23, tzinfo=UTC))


def test_the_ledger_knows_images_that_the_registry_has_forgotten() -> None:
    first = planned(None, EventKind.PLAN, version="1111111", digests={"gateway": "sha256:a"})
    other = planned(first, EventKind.PLAN, version="2222222", digests={"gateway": "sha256:b"})
    strange = planned(other, EventKind.FINDINGS, version="3333333", digests={"gateway": "sha256:a"})
    records = [first, other, strange, planned(strange, EventKind.PLAN, version="4444444")]
    assert recorded_versions(records, "gateway", "sha256:a") == {"1111111"}
    assert recorded_versions(records, "events", "sha256:a") == frozenset()


def test_the_ledger_knows_what_was_promoted_last() -> None:
    old = planned(None, EventKind.COMPLETED, serving={"events": "1111111", "gateway": "1111111"})
    new = planned(old, EventKind.COMPLETED, serving={"events": "2222222"})
    dry = planned(new, EventKind.COMPLETED, dry_run=True)
    broken = planned(dry, EventKind.PUT_BACK, serving={"events": "3333333"})
    strange = planned(broken, EventKind.COMPLETED, serving={"gateway": "../admin"})
    records = [old, new, dry, broken, strange]
    assert last_served(records, "production") == {"events": "2222222", "gateway": "1111111"}
    assert last_served(records, "staging") == {}


# --- the finding -----------------------------------------------------------------------------------------------------


def test_commits_and_people_are_counted_and_named() -> None:
    finding = check(ahead(LEA, LEA, ANNA))
    assert (finding.gate, finding.verdict) == (GATE, Verdict.PASSED)
    assert finding.sentence == "3 commits by 2 people, who cannot approve: anna meier, lea baumann."
    assert finding.measured == "3 commits, 2 people"
    assert finding.evidence == "batbern/platform: 1111111...2222222"


def test_one_commit_by_one_person() -> None:
    assert check(ahead(LEA)).sentence == "1 commit by 1 person, who cannot approve: lea baumann."


def test_names_addresses_and_logins_are_excluded_in_lower_case() -> None:
    assert ahead(LEA).names == {"lea baumann", "lea.baumann@batbern.example", "leab"}


def test_the_same_version_brings_nothing() -> None:
    finding = check(Authors("2222222", Relation.IDENTICAL))
    assert finding.verdict is Verdict.PASSED
    assert "brings no commit" in finding.sentence


def test_going_back_to_an_older_version_is_told() -> None:
    finding = check(Authors("3333333", Relation.BEHIND, lacking=4))
    assert finding.verdict is Verdict.PASSED
    assert "2222222 is older than 3333333, which runs in production: it goes back by 4 commits." in finding.sentence


def test_on_a_branch_of_its_own_the_commits_still_count_and_what_it_lacks_is_told() -> None:
    finding = check(Authors("1111111", Relation.DIVERGED, commits(ANNA), lacking=1))
    assert "1 commit by 1 person, who cannot approve: anna meier." in finding.sentence
    assert "2222222 lacks 1 commit of 1111111" in finding.sentence


def test_a_commit_that_is_new_to_several_versions_counts_once() -> None:
    older = Authors("1111111", Relation.AHEAD, commits(LEA, ANNA))
    newer = Authors("1212121", Relation.AHEAD, commits(LEA))
    finding = check(older, newer, before=Baseline(("1111111", "1212121")))
    assert finding.measured == "2 commits, 2 people"
    assert "production runs several versions (1111111, 1212121)" in finding.sentence


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (Baseline((), absent=("events",)), "Nothing runs in production yet, so everybody counts who wrote one of the"),
        (
            Baseline(("1111111",), absent=("gateway",), served=True),
            "Of gateway nothing runs in production: judged by what was promoted there last.",
        ),
        (Baseline((), unnamed=("events",)), "Nothing says which version events runs in production"),
        (Baseline(("1111111",), unnamed=("gateway",)), "Nothing says which version gateway runs"),
        (Baseline(("1111111",), absent=("gateway",)), "Of gateway nothing runs in production yet"),
    ],
)
def test_what_is_not_known_of_production_is_told(before: Baseline, told: str) -> None:
    finding = check(Authors("", Relation.NEWEST, commits(LEA)), before=before)
    assert finding.verdict is (Verdict.PASSED if before.is_whole else Verdict.INCONCLUSIVE)
    assert bool(finding.waived) is not before.is_whole
    assert not finding.blocks
    assert told in finding.sentence
    assert "the newest commits...2222222" in finding.evidence


@pytest.mark.parametrize("signatures", [(), (Signature("somebody"),)])
def test_a_commit_by_nobody_known_blocks(signatures: tuple[Signature, ...]) -> None:
    finding = check(Authors("1111111", Relation.AHEAD, (Commit("abcdef1234567890", signatures), *commits(LEA))))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.blocks
    assert finding.could_be_met
    assert "1 commit without a known author: abcdef123456" in finding.sentence


def test_no_answer_at_all_blocks() -> None:
    assert check().blocks
    assert cannot_know("GitHub says no.").blocks
    assert cannot_know("GitHub says no.").could_be_met


def test_without_a_repository_the_finding_says_so_and_does_not_block() -> None:
    finding = no_repository()
    assert (finding.verdict, finding.blocks) == (Verdict.INCONCLUSIVE, False)
    assert "names no source repository" in finding.sentence


def test_too_many_versions_are_not_compared() -> None:
    versions = tuple(f"{at:07x}" for at in range(MOST_VERSIONS + 1))
    assert check_versions(Baseline(versions[1:]), "production") is None
    finding = check_versions(Baseline(versions), "production")
    assert finding is not None
    assert finding.blocks


def test_who_commits_cannot_write_into_the_page() -> None:
    finding = check(ahead(Signature("<!channel> [x](http://evil) `|`" + "y" * 200, "a@x.example")))
    assert not set("<>()`|!") & set(finding.sentence.partition("approve: ")[2])
    assert len(finding.sentence) < 200


def test_a_long_list_of_people_is_cut() -> None:
    people = [Signature("", f"p{at}@x.example") for at in range(SHOWN + 5)]
    assert check(ahead(*people)).sentence.endswith("and 5 more.")


def test_one_person_with_several_addresses_is_one() -> None:
    private = Signature("lea baumann", "lea@private.example")
    at_work = Signature("lb", "lb@batbern.example", "leab")
    assert who(commits(private, at_work, LEA)) == ("lea baumann",)


HANDLES = st.sampled_from(["", "a", "b", "c", "d", "e", "f"])


@given(st.lists(st.builds(Signature, HANDLES, HANDLES, HANDLES), max_size=12))
def test_nobody_is_counted_twice_and_nobody_forgotten(signatures: list[Signature]) -> None:
    people = who(commits(*signatures))
    named = [one.names for one in signatures if one.names]
    together = [set(names) for names in named]
    for _ in together:  # merged until nothing changes, the slow way
        merged: list[set[str]] = []
        for names in together:
            hit = next((group for group in merged if group & names), None)
            if hit is None:
                merged.append(set(names))
            else:
                hit |= names
        together = merged
    assert len(people) == len(together)
