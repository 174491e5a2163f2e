"""What a run changed, before and after, read from its intents and their ends: images, parameters, flags, migrations.

Values come from the plan's table alone, where secrets are masked; the intents give versions and digests.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rules.records import ENDINGS, EventKind, Record, open_intents

WORDS = {
    EventKind.ROLLOUT_SUCCEEDED: "arrived",
    EventKind.CONFIGURATION_APPLIED: "applied",
    EventKind.FLAGS_APPLIED: "applied",
    EventKind.ROLLOUT_ROLLED_BACK: "put back",
    EventKind.MIGRATIONS_APPLIED: "applied",
    EventKind.CONFIGURATION_PUT_BACK: "put back",
    EventKind.MIGRATIONS_PUT_BACK: "put back",
    EventKind.FLAGS_PUT_BACK: "put back",
}
"""How an intent ended."""
RETURNS = frozenset(kind for kind, words in WORDS.items() if words == "put back")
Rows = list[dict[str, str]]


def change_rows(run: Sequence[Record]) -> Rows:
    """One row for each thing that the run set out to change, in that order."""
    return [*_images(run), *_configuration(run), *_flags(run), *_migrations(run)]


def return_rows(run: Sequence[Record]) -> Rows:
    """What was put back, and what was left open."""
    returned = [it for it in run if it.event.kind in RETURNS]
    environment = run[-1].event.environment if run else ""
    left = [it for it in open_intents(run, environment) if it.event.kind in ENDINGS]
    rows = [{"record": str(it.seq), "what": "put back", "said": it.event.sentence} for it in returned]
    return rows + [{"record": str(it.seq), "what": "LEFT OPEN by this run", "said": it.event.sentence} for it in left]


def planned_rows(run: Sequence[Record]) -> list[Mapping[str, str]]:
    """The rows of the plan that was planned last: what, name, now, then, note."""
    plan = next((it for it in reversed(run) if it.event.kind is EventKind.PLAN), None)
    rows = plan.event.details.get("changes", ()) if plan else ()
    return [{column: str(row.get(column, "")) for column in ("what", "name", "now", "then", "note")} for row in rows]


def _images(run: Sequence[Record]) -> Iterator[dict[str, str]]:
    """From the first intent of a service to the last: a promotion may have moved it twice."""
    intents = _of(run, EventKind.ROLLOUT_INTENT)
    for service in dict.fromkeys(str(it.event.details["service"]) for it in intents):
        mine = [it for it in intents if it.event.details["service"] == service]
        first, last = mine[0].event.details["before"], mine[-1].event.details["after"]
        before = "\n".join(map(str, first["digests"])) or "nothing"
        yield _row("image", service, (before, str(last["digest"])), run, mine[0])


def _configuration(run: Sequence[Record]) -> Iterator[dict[str, str]]:
    planned = {row["name"]: row for row in planned_rows(run) if row["what"].startswith("parameter")}
    versions = _versions(run, EventKind.CONFIGURATION_APPLIED)
    for key, (intent, item) in _items(run, EventKind.CONFIGURATION_INTENT, "items").items():
        row = planned.get(key, {"now": "", "then": ""})
        before = _with_version(row["now"], item.get("before"))
        yield _row("parameter", key, (before, _with_version(row["then"], versions.get(key))), run, intent)


def _flags(run: Sequence[Record]) -> Iterator[dict[str, str]]:
    planned = [row for row in planned_rows(run) if row["what"] == "flag"]
    for key, (intent, _) in _items(run, EventKind.FLAGS_INTENT, "flags").items():
        mine = [row for row in planned if row["name"].partition(": ")[0] == key]
        for row in mine or [{"name": key, "now": f"see record {intent.seq}", "then": f"see record {intent.seq}"}]:
            yield _row("flag", row["name"], (row["now"], row["then"]), run, intent)


def _migrations(run: Sequence[Record]) -> Iterator[dict[str, str]]:
    """By script: a run that went on may have meant to apply it twice."""
    intents = {str(name): it for it in reversed(_of(run, EventKind.MIGRATIONS_INTENT)) for name in _scripts(it)}
    for name in dict.fromkeys(str(name) for it in _of(run, EventKind.MIGRATIONS_INTENT) for name in _scripts(it)):
        yield _row("migration", name, ("pending", "applied"), run, intents[name])


def _scripts(intent: Record) -> Sequence[object]:
    found: Sequence[object] = intent.event.details.get("scripts", ())
    return found


def _row(what: str, name: str, sides: tuple[str, str], run: Sequence[Record], intent: Record) -> dict[str, str]:
    ends = [it for it in run if it.seq > intent.seq and _ends(it, intent)]
    numbers = ", ".join(str(it.seq) for it in (intent, *ends))
    end = " then ".join(dict.fromkeys(WORDS[it.event.kind] for it in ends)) or "NOT FINISHED by this run"
    return {"what": what, "name": name, "before": sides[0], "after": sides[1], "end": end, "records": numbers}


def _ends(record: Record, intent: Record) -> bool:
    same = record.event.details.get("service") == intent.event.details.get("service")
    return record.event.kind in ENDINGS[intent.event.kind] and same


def _of(run: Sequence[Record], kind: EventKind) -> list[Record]:
    return [record for record in run if record.event.kind is kind]


def _items(run: Sequence[Record], kind: EventKind, within: str) -> dict[str, tuple[Record, Mapping[str, Any]]]:
    """By key: the first intent that has it, and what it says of it."""
    found: dict[str, tuple[Record, Mapping[str, Any]]] = {}
    for record in _of(run, kind):
        for item in record.event.details.get(within, ()):
            found.setdefault(str(item["key"]), (record, item))
    return found


def _versions(run: Sequence[Record], kind: EventKind) -> dict[str, Any]:
    return {key: it for record in _of(run, kind) for key, it in dict(record.event.details.get("versions", {})).items()}


def _with_version(value: str, version: object) -> str:
    """An empty value before a first version is a parameter that was not there."""
    if version is None:
        return value or "nothing"
    return f"{value} (version {version})".strip()
