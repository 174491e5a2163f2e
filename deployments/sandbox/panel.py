"""The approvers of a story: each answers one question of the suspended run, and never the same question twice."""

from collections.abc import Mapping, Sequence

from rich.markup import escape

from deployments.sandbox.approvers import Authenticators
from deployments.sandbox.narration import Narrator
from deployments.sandbox.room import ControlRoom
from deployments.sandbox.runs import Prefect, Question
from deployments.sandbox.story import Says


class Panel:
    def __init__(
        self,
        prefect: Prefect,
        room: ControlRoom,
        narrator: Narrator,
        authenticators: Authenticators,
        says: Sequence[Says],
    ) -> None:
        self._prefect, self._room, self._narrator, self._authenticators = prefect, room, narrator, authenticators
        self._left = list(says)
        self._answered: set[str] = set()
        self.said: list[Mapping[str, str]] = []
        """What they answered, without their codes."""

    @property
    def done(self) -> bool:
        """Whether everybody has answered."""
        return not self._left

    def answer(self, run_id: str) -> None:
        """The next one answers, if the run asks something that nobody has answered."""
        if not self._left:
            return
        question = self._prefect.question(run_id)
        if question is None or question.key in self._answered:
            return
        says = self._left[0]
        if says.tells:
            self._narrator.say(f"world      {says.tells}")
        says.while_reading(self._room)
        if self._gives(run_id, question, says):
            self._answered.add(question.key)
            self._left.pop(0)

    def _gives(self, run_id: str, question: Question, says: Says) -> bool:
        """Whether the run took it; if not, it is at work, and will ask again."""
        shown = {"approver": says.person, "decision": says.decision, "comment": says.comment}
        filled = {**shown, "plan": question.plan, "code": self._authenticators.code(says.person)}
        if not self._prefect.resume(run_id, filled):
            return False
        self.said.append(shown)
        why = f": {says.comment}" if says.comment else ""
        self._narrator.say(f"[yellow]approver[/]   {says.person} says {says.decision}{escape(why)}")
        return True
