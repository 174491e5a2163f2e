"""The schema gate: the database beside the next environment's, each difference judged for old code and for new."""

from blocks.doors import Doors
from rules.errors import InvalidInput
from rules.schema_gate import GATE, check_schemas
from rules.vocabulary import Finding, Release, Verdict
from tasks.kinds import asking
from tasks.promotions import Promotion


@asking("compare schemas")
def check_schema(promotion: Promotion, doors: Doors, _release: Release) -> tuple[Finding, ...]:
    """Whether the schema that the release runs on would serve the code that runs in the next environment."""
    following = promotion.target
    try:
        new, old = doors.database, following.database
    except InvalidInput as missing:
        sentence = f"The databases cannot be compared. {missing}"
        return (Finding(GATE, Verdict.INCONCLUSIVE, sentence, "nothing", could_be_met="register the database's block"),)
    names = (following.environment.name, doors.environment.name)
    return (check_schemas(old.read_schema(), new.read_schema(), *names),)
