"""A gate is asked, or left out with a reason, or in the way."""

import pytest

from rules.validation import all_not_asked, not_asked
from rules.validation_policies import GATES, LoadPolicy, ValidationPolicy
from rules.vocabulary import Verdict


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_nobody_declared_blocks(gate: str) -> None:
    found = not_asked(gate, ValidationPolicy())
    assert found is not None
    assert (found.gate, found.verdict, found.blocks) == (gate, Verdict.INCONCLUSIVE, True)
    assert f"validation.{gate}" in found.could_be_met


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_is_left_out_with_a_reason_does_not_block_and_never_passes(gate: str) -> None:
    found = not_asked(gate, ValidationPolicy(left_out={gate: "There is no database."}))
    assert found is not None
    assert (found.verdict, found.blocks) == (Verdict.INCONCLUSIVE, False)
    assert "There is no database." in found.sentence


def test_a_gate_that_is_left_out_without_a_reason_blocks() -> None:
    found = not_asked("load", ValidationPolicy(left_out={"load": ""}))
    assert found is not None
    assert found.blocks


def test_a_gate_that_is_declared_is_asked() -> None:
    policy = ValidationPolicy(load=LoadPolicy(script="load/checkout.js"), left_out={"load": "Too slow."})
    assert not_asked("load", policy) is None
    assert list(all_not_asked(policy)) == [gate for gate in GATES if gate != "load"]
