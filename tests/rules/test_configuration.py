"""What a configuration plan says, and when it refuses."""

import copy
import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import ConfigurationPolicy, KeyAction, KeyRule
from rules.configuration import ConfigurationPlan, Outcome, Parameter, Secret, not_arrived, plan_configuration
from rules.errors import Refused
from rules.parameters import SECURE, guarded
from rules.vocabulary import Environment, Role, Verdict

COPY_ALL = ConfigurationPolicy((KeyRule("**", KeyAction.COPY),))


def environment(name: str, account: str, role: Role) -> Environment:
    arn = f"arn:aws:iam::{account}:role/promotion-flows"
    return Environment(name, role, account, "eu-central-1", arn, f"shop-{name}", f"/shop/{name}/", name)


DEV = environment("dev", "111111111111", Role.INTEGRATION)
STAGING = environment("staging", "222222222222", Role.STAGING)


def policy(*rules: tuple[str, KeyAction], **more: object) -> ConfigurationPolicy:
    return replace(ConfigurationPolicy(tuple(KeyRule(*rule) for rule in rules)), **more)


def planned(
    source: list[Parameter],
    target: list[Parameter] | None = None,
    under: ConfigurationPolicy = COPY_ALL,
    **more: dict[str, int],
) -> ConfigurationPlan:
    return plan_configuration(source, target or [], under, DEV, STAGING, **more)


def has(name: str, value: str = "v", version: int = 1, **more: object) -> Parameter:
    kind = str(more.get("type", "String"))
    return replace(Parameter(name, guarded(name, kind, value), version=version), **more)


def refused(plan: ConfigurationPlan) -> str:
    with pytest.raises(Refused) as caught:
        plan.raise_if_unsafe()
    return str(caught.value)


def test_a_new_key_is_added_and_a_different_value_is_changed() -> None:
    plan = planned([has("a"), has("b", "new"), has("c", "same")], [has("b", "old", 7), has("c", "same", 3)])

    assert {it.key: it.before for it in plan.changes} == {"a": None, "b": 7}
    assert plan.adds == ("a",)
    assert plan.keys(Outcome.SAME) == ("c",)
    plan.raise_if_unsafe()


def test_nothing_is_ever_deleted() -> None:
    plan = planned([has("a")], [has("a"), has("old")])

    assert plan.changes == ()
    assert plan.keys(Outcome.ONLY_IN_TARGET) == ("old",)
    plan.raise_if_unsafe()


def test_the_first_rule_that_covers_a_key_decides() -> None:
    rules = policy(("database/pool-size", KeyAction.COPY), ("database/**", KeyAction.KEEP))
    plan = planned(
        [has("database/pool-size", "20"), has("database/url", "jdbc:dev")], [has("database/url", "own")], rules
    )

    assert [it.key for it in plan.changes] == ["database/pool-size"]
    assert plan.keeps == ("database/url",)


def test_a_key_without_a_rule_refuses_the_plan_and_is_named() -> None:
    plan = planned([has("a/new"), has("b/x")], [], policy(("b/*", KeyAction.COPY)))

    assert plan.unruled == ("a/new",)
    assert "a/new" in refused(plan)


def test_an_unruled_key_of_the_target_alone_refuses_too() -> None:
    assert planned([has("b/x")], [has("stray")], policy(("b/*", KeyAction.COPY))).unruled == ("stray",)


def test_a_kept_key_that_the_target_lacks_refuses_the_plan() -> None:
    plan = planned([has("database/url")], [], policy(("database/**", KeyAction.KEEP)))

    assert plan.missing == ("database/url",)
    assert "staging must have its own database/url" in refused(plan)


@pytest.mark.parametrize("pattern", ["mail/sender", "mail/*"])
def test_a_required_key_must_be_in_the_target_even_if_the_source_has_none(pattern: str) -> None:
    rules = policy((pattern, KeyAction.REQUIRE), ("**", KeyAction.COPY))

    assert planned([has("a")], [], rules).missing == (pattern,)
    assert planned([has("a")], [has("mail/sender", "x")], rules).missing == ()


def test_a_mapped_key_gets_the_value_of_the_target() -> None:
    rules = ConfigurationPolicy((KeyRule("cors", KeyAction.MAP, {"staging": "https://staging.shop.example"}),))

    plan = planned([has("cors", "https://dev.shop.example")], [], rules)
    assert [it.desired.text for it in plan.changes] == ["https://staging.shop.example"]
    assert [it.desired.text for it in planned([has("x")], [], rules).changes] == ["https://staging.shop.example"]
    plan.raise_if_unsafe()


def test_a_map_without_a_value_for_the_target_refuses_the_plan() -> None:
    rules = ConfigurationPolicy((KeyRule("cors", KeyAction.MAP, {"production": "x"}),))

    assert "no value for staging" in refused(planned([has("cors")], [], rules))


def test_a_secret_is_not_mapped_from_the_catalogue() -> None:
    rules = ConfigurationPolicy((KeyRule("key", KeyAction.MAP, {"staging": "in the clear"}),))

    said = refused(planned([has("key", type=SECURE)], [], rules))
    assert "must not stand in the catalogue" in said
    assert "in the clear" not in said


def test_too_many_changes_refuse_the_plan() -> None:
    plan = planned([has(f"k{n}") for n in range(4)], under=replace(COPY_ALL, max_changes=3))

    assert "4 parameters would be written; max_changes allows 3" in refused(plan)


def test_a_changed_type_refuses_the_plan() -> None:
    plan = planned([has("a", type="StringList")], [has("a")])

    assert plan.type_changes == ("a",)
    assert "another type stands under a" in refused(plan)


@pytest.mark.parametrize(
    "value",
    [
        "https://dev.shop.example",
        "shop-dev",
        "/shop/dev/",
        "jdbc:postgresql://db.111111111111.example/x",
        "ShopDevDatabase",
        "a%2Fdev%2Fb",
        '{"host": "DEV"}',
    ],
)
def test_a_value_that_names_the_source_refuses_the_plan(value: str) -> None:
    plan = planned([has("a", value)])

    assert "a: the value still names" in refused(plan)


@pytest.mark.parametrize(
    "value", ["developer", "device", "x/devel/y", "/dev/null", "file:/dev/./urandom", "1111111111111"]
)
def test_a_value_that_only_looks_alike_is_copied(value: str) -> None:
    planned([has("a", value)]).raise_if_unsafe()


def test_a_forbidden_word_refuses_the_plan() -> None:
    said = refused(
        planned([has("a", "http://localhost:80")], under=replace(COPY_ALL, forbidden_in_target=("localhost",)))
    )

    assert "'localhost'" in said


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (has("a", "x" * 4097), "4097 bytes; tier Standard takes 4096"),
        (has("a", "é" * 2049), "4098 bytes"),
        (has("a", "x" * 8193, tier="Advanced"), "tier Advanced takes 8192"),
        (has("a", ""), "empty"),
        (has("a", "12x", allowed_pattern=r"^\d+$"), "does not fit the allowed pattern"),
        (has("/".join("abcdefghijklmn"), "x"), "16 levels"),
        (has("a" * 1010), "AWS takes 1011"),
        (has("a", policies=("Expiration",)), "parameter policies (Expiration)"),
    ],
)
def test_what_aws_would_refuse_refuses_the_plan(wrong: Parameter, says: str) -> None:
    assert says in refused(planned([wrong]))


def test_a_pattern_that_only_java_reads_is_left_to_aws() -> None:
    planned([has("a", "x", allowed_pattern=r"\p{Alpha}+")]).raise_if_unsafe()


def test_a_refusal_lists_everything_at_once() -> None:
    rules = policy(("keep", KeyAction.KEEP), ("copy/**", KeyAction.COPY), max_changes=1)
    source = [has("keep"), has("copy/1", "dev"), has("copy/2", "x" * 5000), has("copy/type"), has("other")]
    said = refused(planned(source, [has("copy/type", type="StringList")], rules))

    for part in ("keep", "copy/1: the value still names", "copy/2: the value has", "copy/type", "other", "max_changes"):
        assert part in said


def test_an_empty_source_is_no_pass() -> None:
    plan = planned([], [has("a")])

    assert [it.verdict for it in plan.findings()].count(Verdict.INCONCLUSIVE) == 1
    assert "no data is never a pass" in refused(plan)


def test_an_application_without_configuration_has_nothing_to_promote() -> None:
    planned([], [], ConfigurationPolicy()).raise_if_unsafe()


@pytest.mark.parametrize(
    ("source_key", "target_key", "becomes"),
    [
        ("alias/shop", "alias/aws/ssm", "alias/shop"),
        ("arn:aws:kms:eu-central-1:111111111111:key/x", "alias/own", "alias/own"),
        ("1234-uuid", None, "alias/aws/ssm"),
        ("alias/shop-dev", None, "alias/aws/ssm"),
    ],
)
def test_a_key_alias_travels_and_the_key_of_an_account_does_not(
    source_key: str, target_key: str | None, becomes: str
) -> None:
    target = [has("s", "old", type=SECURE, key_id=target_key)] if target_key else []
    plan = planned([has("s", "new", type=SECURE, key_id=source_key)], target)

    assert plan.changes[0].desired.key_id == becomes
    assert (becomes == source_key) or "the source's key belongs to dev" in plan.table()[0]["note"]


def test_tags_are_added_the_targets_own_stay_and_those_that_name_the_source_do_not_travel() -> None:
    source = has("a", tags={"team": "x", "Environment": "dev", "aws:cloudformation:stack": "s"})
    change = planned([source], [has("a", tags={"Environment": "staging", "cost": "1"})]).changes[0]

    assert change.desired.tags == {"team": "x", "Environment": "staging", "cost": "1"}
    assert change.tags == {"team": "x"}
    assert not change.writes_version


@pytest.mark.parametrize(
    ("source", "target", "tier", "writes"),
    [("Standard", "Advanced", "Advanced", False), ("Advanced", "Standard", "Advanced", True)],
)
def test_a_tier_rises_and_never_falls(source: str, target: str, tier: str, writes: bool) -> None:
    plan = planned([has("a", tier=source)], [has("a", tier=target)])

    assert plan.entries[0].desired is not None
    assert plan.entries[0].desired.tier == tier
    assert bool(plan.changes) is writes


def test_a_value_that_somebody_wrote_since_the_last_promotion_is_shown_as_a_conflict() -> None:
    plan = planned(
        [has("a", "new"), has("b", "new")], [has("a", "x", 7), has("b", "x", 4)], left_behind={"a": 5, "b": 4}
    )

    assert plan.conflicts == ("a",)
    assert plan.table()[0]["what"] == "parameter: change (conflict)"


def test_the_table_shows_values_and_only_whether_secrets_differ() -> None:
    source = [
        has("s", "hunter22", type=SECURE),
        has("t", "two\nlines"),
        has("db/password", "hunter22"),
        has("u", "same"),
    ]
    plan = planned(source, [has("s", "hunter21", type=SECURE), has("u", "same")])
    rows = {row["name"]: row for row in plan.table()}

    assert (rows["s"]["now"], rows["s"]["then"]) == ("secret", "differs")
    assert rows["t"]["then"] == "two\\nlines"
    assert (rows["db/password"]["now"], rows["db/password"]["then"]) == ("", "differs")
    assert "hunter" not in json.dumps(plan.table())
    assert list(rows)[-1] == "u"


def test_a_plan_never_shows_a_secret() -> None:
    plan = planned([has("s", "hunter22", type=SECURE), has("url", "postgres://me:hunter22@db/x")])

    shown = [repr(plan), str(plan.changes), f"{plan}", str(plan.findings()), json.dumps(plan.intent().to_details())]
    assert "hunter22" not in "".join(shown)
    with pytest.raises(TypeError, match="does not leave its process"):
        pickle.dumps(plan)


def test_a_secret_says_nothing_and_compares() -> None:
    secret = Secret("hunter22")

    assert {repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret} == {"Secret(*****)"}  # noqa: UP031 - the old way must not tell either
    assert secret == Secret("hunter22")
    assert secret != Secret("other")
    assert secret != "hunter22"
    assert copy.deepcopy(secret) is secret
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_a_half_applied_plan_keeps_its_fingerprint() -> None:
    rules = ConfigurationPolicy(
        (
            KeyRule("m", KeyAction.MAP, {"staging": "mapped"}),
            KeyRule("own", KeyAction.KEEP),
            KeyRule("**", KeyAction.COPY),
        )
    )
    source = [has("a", "1"), has("b", "2", type=SECURE, tags={"t": "1"}), has("c", "3", tier="Advanced"), has("own")]
    plan = planned(source, [has("own"), has("c", "0")], rules)
    for done in range(len(plan.changes) + 1):
        written = {it.key: replace(it.desired, version=(it.before or 0) + 1) for it in plan.changes[:done]}
        target = {"own": has("own"), "c": has("c", "0"), **written}
        again = planned(source, list(target.values()), rules)

        assert again.fingerprint() == plan.fingerprint()
        assert {it.key for it in again.changes} == {it.key for it in plan.changes[done:]}
        assert not_arrived(plan.changes, target.values()) == tuple(it.key for it in again.changes)


@pytest.mark.parametrize(
    "other",
    [
        [has("a", "2"), has("s", "x", type=SECURE)],
        [has("a", "1"), has("s", "y", 2, type=SECURE)],
        [has("a", "1", description="d"), has("s", "x", type=SECURE)],
        [has("a", "1")],
    ],
)
def test_another_wish_has_another_fingerprint(other: list[Parameter]) -> None:
    assert planned(other).fingerprint() != planned([has("a", "1"), has("s", "x", type=SECURE)]).fingerprint()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.text(min_size=1)), unique_by=lambda it: it[0], max_size=6))
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(pairs: list[tuple[str, str]]) -> None:
    source = [has(name, value) for name, value in pairs]
    plan = planned(source, [has("a", "other", 4)])
    target = {"a": has("a", "other", 4), **{it.key: replace(it.desired, version=1) for it in plan.changes}}

    assert planned(source, list(target.values())).changes == ()
