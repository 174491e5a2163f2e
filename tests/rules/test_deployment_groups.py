"""What a deployment group cannot do is found before the start, all of it at once."""

from dataclasses import replace

import pytest

from rules.catalogue import RolloutPolicy
from rules.deployment_groups import DeploymentGroup, check_group
from rules.vocabulary import Verdict

POLICY = RolloutPolicy(bake_minutes=5, start_minutes=15, total_minutes=60)
GROUP = DeploymentGroup("gateway", (("staging", "Gateway-1"),), ("blue", "green"), ("listener",), keeps_minutes=5)


def test_a_group_that_can_do_what_is_asked_passes() -> None:
    for minutes in (5, 45):
        finding = check_group("gateway", "Gateway-1", "staging", replace(GROUP, keeps_minutes=minutes), POLICY)
        assert (finding.gate, finding.verdict) == ("deployment group/gateway", Verdict.PASSED)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        (replace(GROUP, services=(("staging", "Other-1"),)), "deploys to staging/Other-1, and staging/Gateway-1 is"),
        (replace(GROUP, services=()), "deploys to nothing"),
        (replace(GROUP, blue_green=False), "of the type BLUE_GREEN"),
        (replace(GROUP, target_groups=("blue",)), "no pair of target groups"),
        (replace(GROUP, waits_for_word=True), "CONTINUE_DEPLOYMENT"),
        (replace(GROUP, keeps_minutes=None), "for ever"),
        (replace(GROUP, keeps_minutes=4), "set its termination wait to 5"),
        (replace(GROUP, keeps_minutes=60), "at most 45"),
    ],
)
def test_what_stands_in_the_way_is_named(group: DeploymentGroup, why: str) -> None:
    finding = check_group("gateway", "Gateway-1", "staging", group, POLICY)
    assert finding.verdict is Verdict.FAILED
    assert why in finding.sentence


def test_everything_is_told_at_once() -> None:
    bad = replace(GROUP, services=(), waits_for_word=True, keeps_minutes=None)
    assert check_group("gateway", "Gateway-1", "staging", bad, POLICY).sentence.count("; it ") == 2
