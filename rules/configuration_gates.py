"""What speaks against a configuration plan: one gate each, and each names all its keys at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rules.configuration_keys import WRITTEN, Outcome, PlannedKey
from rules.vocabulary import Finding, Verdict

SHOWN_KEYS = 20
"""A sentence names so many keys and counts the rest; the plan's table has them all."""


@dataclass(frozen=True, slots=True)
class ConfigurationGates:
    """The gates over the planned keys of one promotion."""

    source: str
    target: str
    entries: Sequence[PlannedKey]
    max_changes: int
    lacks_source: bool

    def findings(self) -> tuple[Finding, ...]:
        """One finding per gate, the passed ones too."""
        return (
            self._source(),
            self._keys(
                "configuration rules",
                Outcome.UNRULED,
                "No rule of the catalogue covers {keys}. Give each a rule: copy, keep, require, map or ignore.",
            ),
            self._keys(
                "configuration mapping",
                Outcome.UNMAPPED,
                f"The catalogue maps {{keys}} and has no value for {self.target}. Add it.",
            ),
            self._keys(
                "configuration of the target",
                Outcome.MISSING,
                f"The target {self.target} must have its own {{keys}} and has not. Create it there first.",
            ),
            self._keys(
                "configuration types",
                Outcome.TYPE_CHANGE,
                f"In {self.target} another type stands under {{keys}}, and AWS changes none in place. "
                "Delete it there, or make the types equal.",
            ),
            self._values(),
            self._size(),
        )

    def _source(self) -> Finding:
        gate = "configuration source"
        if self.lacks_source:
            sentence = f"No parameter was read from {self.source}: no data is never a pass."
            return Finding(gate, Verdict.INCONCLUSIVE, sentence, "0 parameters", "1 or more")
        read = sum(1 for it in self.entries if it.source)
        return Finding(gate, Verdict.PASSED, f"{read} parameters were read from {self.source}.", str(read))

    def _keys(self, gate: str, outcome: Outcome, sentence: str) -> Finding:
        keys = [it.key for it in self.entries if it.outcome is outcome]
        if not keys:
            return Finding(gate, Verdict.PASSED, f"No key is in the state {outcome.value!r}.", "0", "0")
        return Finding(gate, Verdict.FAILED, sentence.format(keys=_listed(keys)), str(len(keys)), "0")

    def _values(self) -> Finding:
        gate = "configuration values"
        wrong = [f"{it.key}: {', '.join(it.problems)}" for it in self.entries if it.problems]
        if not wrong:
            return Finding(gate, Verdict.PASSED, f"Every value may stand in {self.target}.", "0", "0")
        sentence = f"Not fit for {self.target}: {_listed(wrong, '; ')}. Map or keep these keys, or correct them."
        return Finding(gate, Verdict.FAILED, sentence, str(len(wrong)), "0")

    def _size(self) -> Finding:
        count, limit = sum(1 for it in self.entries if it.outcome in WRITTEN), self.max_changes
        sentence = f"{count} parameters would be written; max_changes allows {limit}."
        if count <= limit:
            return Finding("configuration size", Verdict.PASSED, sentence, str(count), str(limit))
        more = " A rule may be too wide; if all are meant, raise max_changes in the catalogue."
        return Finding("configuration size", Verdict.FAILED, sentence + more, str(count), str(limit))


def _listed(names: Iterable[str], comma: str = ", ") -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN_KEYS} more" if len(every) > SHOWN_KEYS else ""
    return comma.join(every[:SHOWN_KEYS]) + more
