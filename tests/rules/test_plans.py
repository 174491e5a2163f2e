"""The plan: hashed over what is desired, so that it keeps its name while it is being carried out."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import ConfigurationPolicy, FlagPolicy, KeyAction, KeyRule
from rules.configuration import ConfigurationPlan, plan_configuration
from rules.feature_flags import plan_flags
from rules.flag_states import EnvironmentFlags
from rules.parameters import Parameter
from rules.plans import Plan, ServiceChange, check_image_changes, check_same_plan, service_changes
from rules.vocabulary import Environment, Release, Role, Service, Strategy, Verdict, unmet

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
EVENTS = Service("events", "Events-", "batbern/events", "app", "/health", wave=1)
GATEWAY = Service("gateway", "Gateway-", "batbern/gateway", "app", "/health", wave=2)
RELEASE = Release("3f2a1bc", {"events": NEW, "gateway": NEW})


def environment(name: str) -> Environment:
    return Environment(name, Role.STAGING, "1" * 12, "eu-central-1", "arn", f"b-{name}", f"/b/{name}/", name)


def configuration(ttl_in_target: str) -> ConfigurationPlan:
    policy = ConfigurationPolicy((KeyRule("**", KeyAction.COPY),))
    source, target = Parameter("ttl", "60", "String", 7), Parameter("ttl", ttl_in_target, "String", 3)
    return plan_configuration([source], [target], policy, environment("dev"), environment("staging"))


def plan(ttl_in_target: str = "30", before: str = OLD) -> Plan:
    flags = plan_flags(EnvironmentFlags("dev", {}), EnvironmentFlags("staging", {}), FlagPolicy())
    changes = tuple(ServiceChange(service, before, NEW) for service in RELEASE.digests)
    return Plan("batbern", "dev", "staging", RELEASE, changes, configuration(ttl_in_target), flags, "catalogue")


def test_a_plan_that_is_half_carried_out_keeps_its_hash() -> None:
    assert plan(ttl_in_target="60", before=NEW).hash == plan(ttl_in_target="30", before=OLD).hash


def test_another_image_version_or_catalogue_is_another_plan() -> None:
    others = [
        replace(plan(), release=Release("3f2a1bc", {"events": NEW, "gateway": OLD})),
        replace(plan(), release=Release("0000000", RELEASE.digests)),
        replace(plan(), catalogue_sha256="other"),
        replace(plan(), target="production"),
    ]
    assert len({plan().hash, *(other.hash for other in others)}) == 5


@given(st.permutations(["events", "gateway"]))
def test_the_order_of_the_services_does_not_matter(order: list[str]) -> None:
    digests = {service: RELEASE.digests[service] for service in order}
    assert replace(plan(), release=Release("3f2a1bc", digests)).hash == plan().hash


BLUE_GREEN = {"gateway": Strategy.BLUE_GREEN, "events": Strategy.BLUE_GREEN}


def test_how_traffic_moves_is_part_of_what_is_agreed_on() -> None:
    by_canary = replace(plan(), services=tuple(replace(it, strategy=Strategy.CANARY) for it in plan().services))
    assert by_canary.hash != plan().hash


def test_services_are_listed_in_the_order_of_the_roll_out() -> None:
    serving = {"gateway": frozenset({OLD}), "events": frozenset({NEW})}
    changes = service_changes((GATEWAY, EVENTS), RELEASE, serving, BLUE_GREEN)
    assert [(change.service, change.changes) for change in changes] == [("events", False), ("gateway", True)]


def test_a_service_that_serves_nothing_is_a_change() -> None:
    [change] = service_changes((EVENTS,), RELEASE, {}, BLUE_GREEN)
    assert (change.before, change.changes) == ("", True)


def test_nothing_to_move_is_a_pass_that_says_so() -> None:
    finding = check_image_changes(plan(before=NEW))
    assert finding.verdict is Verdict.PASSED
    assert "already runs" in finding.sentence


def test_the_table_shows_images_and_parameters_and_no_row_for_what_stays() -> None:
    rows = plan().table()
    assert [(row["what"], row["name"]) for row in rows][:2] == [("image", "events"), ("image", "gateway")]
    assert any(row["name"].endswith("ttl") for row in rows)
    assert not any(row["what"] == "image" for row in plan(before=NEW).table())


def test_a_plan_stands_while_the_target_is_as_it_was_or_already_as_it_shall_be() -> None:
    assert unmet(check_same_plan(plan(), plan())) == ()
    assert unmet(check_same_plan(plan(), plan(ttl_in_target="60", before=NEW))) == ()


def test_a_target_that_another_run_moved_meanwhile_is_not_overwritten() -> None:
    newer = "sha256:" + "2" * 64
    [finding] = unmet(check_same_plan(plan(), plan(before=newer)))
    assert finding.gate == "target unchanged"
    assert "events, gateway" in finding.sentence


def test_another_plan_or_none_is_not_the_one_that_was_agreed_on() -> None:
    for now in (None, replace(plan(), catalogue_sha256="other")):
        assert [finding.gate for finding in unmet(check_same_plan(plan(), now))] == ["plan unchanged"]
