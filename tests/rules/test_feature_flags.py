"""Which flags travel, what stands in the way, what would change, and whether it arrived."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import FlagPolicy
from rules.errors import Refused
from rules.feature_flags import judge_flags, plan_flags, plan_put_back
from rules.flag_states import EnvironmentFlags, Flag, FlagApproval
from rules.flag_targeting import (
    Clause,
    Prerequisite,
    Serving,
    Target,
    Targeting,
    TargetingRule,
    Variation,
    differences,
    instructions,
    targeting_from,
)
from rules.vocabulary import Verdict

YES, NO = Variation("yes-id", "true", "Yes"), Variation("no-id", "false", "No")
ON = Targeting(on=True, fallthrough=Serving("yes-id"), off_variation="no-id")
OFF = replace(ON, on=False)
POLICY = FlagPolicy(project="batbern", keys=("new-*",), tags=("travels",))


def flag(key: str, targeting: Targeting = ON, **more: Any) -> Flag:
    return Flag(key, (YES, NO), targeting, more.pop("version", 1), **more)


def here(*flags: Flag, **more: Any) -> EnvironmentFlags:
    return EnvironmentFlags("dev", {each.key: each for each in flags}, **more)


def there(*flags: Flag, **more: Any) -> EnvironmentFlags:
    return EnvironmentFlags("staging", {each.key: each for each in flags}, **more)


def kinds(targeting: Targeting, wanted: Targeting) -> list[str]:
    return [str(each["kind"]) for each in instructions(targeting, wanted)]


# --- what would change -------------------------------------------------------------------------------------


def test_a_covered_flag_that_differs_changes() -> None:
    plan = plan_flags(here(flag("new-menu")), there(flag("new-menu", OFF, version=7)), POLICY)
    (change,) = plan.changes
    assert (change.key, change.version) == ("new-menu", 7)
    assert change.instructions == ({"kind": "turnFlagOn"},)
    assert plan.findings()[0].verdict is Verdict.PASSED


def test_a_flag_is_covered_by_its_tag_too() -> None:
    plan = plan_flags(here(flag("menu", tags=("travels",))), there(flag("menu", OFF)), POLICY)
    assert [change.key for change in plan.changes] == ["menu"]


def test_a_flag_that_no_policy_covers_is_not_touched() -> None:
    plan = plan_flags(here(flag("new-menu"), flag("other")), there(flag("new-menu"), flag("other", OFF)), POLICY)
    assert plan.changes == ()
    assert list(plan.desired) == ["new-menu"]


def test_without_a_policy_nothing_travels_and_the_plan_says_so() -> None:
    plan = plan_flags(here(flag("new-menu")), there(flag("new-menu", OFF)), FlagPolicy())
    assert plan.changes == ()
    assert "names no feature flags" in plan.findings()[0].sentence


def test_equal_flags_need_no_change() -> None:
    plan = plan_flags(here(flag("new-menu")), there(flag("new-menu", version=9)), POLICY)
    assert plan.changes == ()
    assert "already agree" in plan.findings()[0].sentence


def test_every_aspect_has_its_instruction() -> None:
    clause = Clause("email", "endsWith", ('"@batbern.ch"', "1", "true"))
    wanted = Targeting(
        on=True,
        fallthrough=Serving(weights=(("no-id", 60_000), ("yes-id", 40_000)), context_kind="device"),
        off_variation="yes-id",
        rules=(TargetingRule((clause,), Serving("yes-id"), "staff", track_events=True),),
        targets=(Target("yes-id", ("anna", "ben")),),
        prerequisites=(Prerequisite("new-base", "yes-id"),),
    )
    assert instructions(OFF, wanted) == (
        {"kind": "replacePrerequisites", "prerequisites": [{"key": "new-base", "variationId": "yes-id"}]},
        {
            "kind": "replaceTargets",
            "targets": [{"contextKind": "user", "variationId": "yes-id", "values": ["anna", "ben"]}],
        },
        {
            "kind": "replaceRules",
            "rules": [
                {
                    "clauses": [
                        {
                            "contextKind": "user",
                            "attribute": "email",
                            "op": "endsWith",
                            "negate": False,
                            "values": ["@batbern.ch", 1, True],
                        }
                    ],
                    "variationId": "yes-id",
                    "description": "staff",
                    "trackEvents": True,
                }
            ],
        },
        {
            "kind": "updateFallthroughVariationOrRollout",
            "rolloutWeights": {"no-id": 60_000, "yes-id": 40_000},
            "rolloutContextKind": "device",
        },
        {"kind": "updateOffVariation", "variationId": "yes-id"},
        {"kind": "turnFlagOn"},
    )


def test_the_numbers_one_and_true_are_two_clause_values() -> None:
    def ruled(value: str) -> Targeting:
        return replace(ON, rules=(TargetingRule((Clause("beta", "in", (value,)),), Serving("yes-id")),))

    assert kinds(ruled("1"), ruled("true")) == ["replaceRules"]


def test_the_order_of_rules_is_a_difference_and_that_of_targets_is_none() -> None:
    first, second = (TargetingRule((Clause(name, "in", ('"x"',)),), Serving("yes-id")) for name in ("a", "b"))
    assert kinds(replace(ON, rules=(first, second)), replace(ON, rules=(second, first))) == ["replaceRules"]
    one, two = Target("yes-id", ("anna",)), Target("no-id", ("ben",))
    assert kinds(replace(ON, targets=(one, two)), replace(ON, targets=(two, one))) == []


def test_differences_are_worded_with_the_names_of_variations() -> None:
    wanted = replace(ON, fallthrough=Serving(weights=(("no-id", 75_000), ("yes-id", 25_000))))
    (difference,) = differences(ON, wanted, {"yes-id": "Yes", "no-id": "No"})
    assert (difference.now, difference.planned) == ("Yes", "No 75 %, Yes 25 %")


def test_the_table_shows_what_is_there_and_what_comes() -> None:
    plan = plan_flags(here(flag("new-menu")), there(flag("new-menu", OFF)), POLICY)
    assert plan.table() == [{"what": "flag", "name": "new-menu: switch", "now": "off", "then": "on"}]


def test_a_flag_comes_after_its_prerequisites() -> None:
    needs = replace(ON, prerequisites=(Prerequisite("new-z", "yes-id"),))
    plan = plan_flags(here(flag("new-a", needs), flag("new-z")), there(flag("new-a", OFF), flag("new-z", OFF)), POLICY)
    assert [change.key for change in plan.changes] == ["new-z", "new-a"]


def test_switching_off_is_said_aloud() -> None:
    plan = plan_flags(here(flag("new-menu", OFF)), there(flag("new-menu")), POLICY)
    assert "SWITCHED OFF in staging: new-menu" in plan.findings()[0].sentence


# --- what stands in the way --------------------------------------------------------------------------------


def refused(*args: Any) -> str:
    plan = plan_flags(*args)
    with pytest.raises(Refused) as caught:
        plan.raise_if_unsafe()
    return str(caught.value)


def test_a_promoted_key_that_does_not_exist_is_refused() -> None:
    policy = FlagPolicy(project="batbern", keys=("new-menu",))
    assert "no live flag of that name" in refused(here(), there(flag("new-menu")), policy)


def test_a_pattern_that_matches_nothing_is_no_refusal() -> None:
    plan = plan_flags(here(flag("other")), there(flag("other")), POLICY)
    plan.raise_if_unsafe()
    assert "No live flag of dev is covered" in plan.findings()[0].sentence


def test_a_flag_missing_in_the_target_is_refused() -> None:
    assert "does not exist in staging" in refused(here(flag("new-menu")), there(), POLICY)


def test_a_segment_missing_in_the_target_is_refused() -> None:
    rule = TargetingRule((Clause("", "segmentMatch", ('"partners"',)),), Serving("yes-id"))
    source = here(flag("new-menu", replace(ON, rules=(rule,))), segments=frozenset({"partners"}))
    assert "segment 'partners'" in refused(source, there(flag("new-menu")), POLICY)
    plan_flags(source, there(flag("new-menu"), segments=frozenset({"partners"})), POLICY).raise_if_unsafe()


def test_a_prerequisite_that_stays_off_in_the_target_is_refused() -> None:
    needs = replace(ON, prerequisites=(Prerequisite("base", "yes-id"),))
    source = here(flag("new-menu", needs), flag("base"))
    assert "base, which is off in staging" in refused(source, there(flag("new-menu"), flag("base", OFF)), POLICY)
    assert "base, which is missing in staging" in refused(source, there(flag("new-menu")), POLICY)
    plan_flags(source, there(flag("new-menu"), flag("base")), POLICY).raise_if_unsafe()


def test_switching_off_what_an_uncovered_flag_depends_on_is_refused() -> None:
    depends = replace(ON, prerequisites=(Prerequisite("new-menu", "yes-id"),))
    message = refused(here(flag("new-menu", OFF)), there(flag("new-menu"), flag("other", depends)), POLICY)
    assert "would switch off other too" in message


def test_an_experiment_on_either_side_is_refused() -> None:
    running = flag("new-menu", obstacles=("its fallthrough runs an experiment",))
    assert "in dev: its fallthrough runs" in refused(here(running), there(flag("new-menu")), POLICY)
    assert "in staging: its fallthrough runs" in refused(here(flag("new-menu")), there(running), POLICY)


def test_a_refusal_lists_all_reasons() -> None:
    policy = FlagPolicy(project="batbern", keys=("gone", "lost"))
    message = refused(here(), there(), policy)
    assert "'gone'" in message
    assert "'lost'" in message


# --- approval and fingerprint ------------------------------------------------------------------------------


def test_only_changes_under_the_environments_rule_need_approval() -> None:
    source = here(flag("new-a"), flag("new-b"))
    target = there(
        flag("new-a", OFF, tags=("critical",)),
        flag("new-b", OFF),
        approval=FlagApproval(required=True, tags=frozenset({"critical"})),
    )
    plan = plan_flags(source, target, POLICY)
    assert [change.needs_approval for change in plan.changes] == [True, False]
    assert plan.needs_approval


def test_without_changes_no_approval_is_needed() -> None:
    target = there(flag("new-a"), approval=FlagApproval(required=True))
    assert not plan_flags(here(flag("new-a")), target, POLICY).needs_approval


def test_the_fingerprint_stays_when_half_of_the_plan_is_done() -> None:
    source = here(flag("new-a"), flag("new-b"))
    whole = plan_flags(source, there(flag("new-a", OFF), flag("new-b", OFF)), POLICY)
    half = plan_flags(source, there(flag("new-a"), flag("new-b", OFF, version=5)), POLICY)
    assert len(half.changes) == 1
    assert whole.fingerprint() == half.fingerprint()


def test_the_fingerprint_changes_with_the_wanted_state() -> None:
    target = there(flag("new-a", OFF))
    assert (
        plan_flags(here(flag("new-a")), target, POLICY).fingerprint()
        != plan_flags(here(flag("new-a", OFF)), target, POLICY).fingerprint()
    )


def test_a_marker_belongs_to_exactly_one_change_under_one_reference() -> None:
    (on,) = plan_flags(here(flag("new-a")), there(flag("new-a", OFF)), POLICY).changes
    (off,) = plan_flags(here(flag("new-a", OFF)), there(flag("new-a")), POLICY).changes
    assert on.marker("3f2a1bc") == on.marker("3f2a1bc")
    assert len({on.marker("3f2a1bc"), on.marker("9999999"), off.marker("3f2a1bc")}) == 3


# --- verified and put back ---------------------------------------------------------------------------------


def test_flags_that_do_what_was_planned_pass() -> None:
    plan = plan_flags(here(flag("new-a")), there(flag("new-a", OFF)), POLICY)
    assert judge_flags(plan, there(flag("new-a"))).verdict is Verdict.PASSED


def test_a_flag_that_differs_after_deployment_fails_and_says_how() -> None:
    plan = plan_flags(here(flag("new-a")), there(flag("new-a", OFF)), POLICY)
    finding = judge_flags(plan, there(flag("new-a", OFF)))
    assert finding.verdict is Verdict.FAILED
    assert "switch is off instead of on" in finding.sentence
    assert finding.measured == "0 of 1 as planned"


def test_an_unchanged_flag_is_verified_too() -> None:
    plan = plan_flags(here(flag("new-a")), there(flag("new-a")), POLICY)
    assert judge_flags(plan, there(flag("new-a", OFF))).verdict is Verdict.FAILED


def test_a_flag_that_vanished_fails() -> None:
    plan = plan_flags(here(flag("new-a")), there(flag("new-a")), POLICY)
    assert "missing in staging" in judge_flags(plan, there()).sentence


def test_putting_back_goes_the_reverse_way_in_reverse_order() -> None:
    source = here(flag("new-a"), flag("new-b"))
    intent = plan_flags(source, there(flag("new-a", OFF), flag("new-b", OFF)), POLICY).intent()
    back = plan_put_back([intent], there(flag("new-a", version=2), flag("new-b", version=2)))
    assert [change.key for change in back.changes] == ["new-b", "new-a"]
    assert all(change.instructions == ({"kind": "turnFlagOff"},) for change in back.changes)


def test_a_flag_that_was_never_changed_is_not_put_back() -> None:
    intent = plan_flags(here(flag("new-a")), there(flag("new-a", OFF)), POLICY).intent()
    back = plan_put_back([intent], there(flag("new-a", OFF)))
    assert back.changes == ()
    assert back.problems == ()


def test_putting_back_goes_to_before_the_first_of_several_intents() -> None:
    half = replace(ON, fallthrough=Serving(weights=(("no-id", 50_000), ("yes-id", 50_000))))
    died = plan_flags(here(flag("new-a", half)), there(flag("new-a", OFF)), POLICY).intent()
    last = plan_flags(here(flag("new-a")), there(flag("new-a", half)), POLICY).intent()
    (change,) = plan_put_back([died, last], there(flag("new-a"))).changes
    assert change.after == OFF
    assert plan_put_back([died, last], there(flag("new-a", half))).problems == ()


def test_what_somebody_else_changed_since_is_not_put_back_and_is_told() -> None:
    intent = plan_flags(here(flag("new-a")), there(flag("new-a", OFF)), POLICY).intent()
    theirs = replace(ON, targets=(Target("no-id", ("anna",)),))
    back = plan_put_back([intent], there(flag("new-a", theirs, version=4)))
    assert back.changes == ()
    assert "changed by somebody else" in back.problems[0]


# --- stored states -----------------------------------------------------------------------------------------

texts = st.text(max_size=8)
servings = st.one_of(
    st.builds(Serving, variation=texts),
    st.builds(Serving, weights=st.tuples(st.tuples(texts, st.integers(1, 100_000))), bucket_by=texts),
)
scalars = st.sampled_from(['"a"', "1", "true", "1.5", "null", '"ü😀"'])
clauses = st.builds(
    Clause, texts, texts, st.lists(scalars, max_size=3).map(tuple), context_kind=texts, negate=st.booleans()
)
rules = st.builds(TargetingRule, st.lists(clauses, max_size=2).map(tuple), servings, texts, st.booleans())
targetings = st.builds(
    Targeting,
    on=st.booleans(),
    fallthrough=servings,
    off_variation=texts,
    rules=st.lists(rules, max_size=2).map(tuple),
    targets=st.lists(st.builds(Target, texts, st.lists(texts, max_size=2).map(tuple), texts), max_size=2).map(tuple),
    prerequisites=st.lists(st.builds(Prerequisite, texts, texts), max_size=2).map(tuple),
)


@given(targetings)
def test_a_stored_targeting_comes_back_as_it_was(targeting: Targeting) -> None:
    assert targeting_from(targeting.to_details()) == targeting


@given(targetings, targetings)
def test_there_are_instructions_exactly_where_there_are_differences(now: Targeting, wanted: Targeting) -> None:
    assert len(instructions(now, wanted)) == len(differences(now, wanted, {}))
    assert instructions(now, now) == ()
