"""Migrations are planned from the release's folder and the target's history, applied, and taken back if they may."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from prefect.logging import disable_run_logger
from pydantic import SecretStr

from blocks.databases import Database
from blocks.files import Files
from blocks.migration_failures import MigrationFailed
from rules.errors import PromotionError
from rules.records import Event, EventKind, Record, chain
from rules.settling import unsettled
from rules.validation_policies import MigrationPolicy, ValidationPolicy
from rules.vocabulary import Finding, Release, Verdict
from tasks.migration_plans import plan_migrations
from tasks.migrations import migrate_databases, return_migrations

pytest_plugins = ("postgres",)
RELEASE = Release("3f2a1bc", {"events": "sha256:" + "1" * 64})
FIRST = "create table events (id int primary key, title text);"
SAFE = "alter table events add column waiting_list int;"
UNSAFE = "alter table events rename column title to name;"


@dataclass
class World:
    """A release's folder, a target's database and a ledger."""

    folder: Path
    url: str
    kept: list[Record] = field(default_factory=list)
    run_id: str = "run"
    policy: MigrationPolicy = field(default_factory=lambda: MigrationPolicy("{version}/migrations/"))

    def append(self, event: Event) -> Record:
        event = replace(event, run_id=event.run_id or self.run_id)
        self.kept.append(chain(self.kept[-1] if self.kept else None, event, datetime.now(UTC)))
        return self.kept[-1]

    def records(self, _run_id: str | None = None) -> Iterator[Record]:
        return iter(self.kept)

    def bring(self, **scripts: str) -> None:
        """Scripts of the release, by what stands before `.sql`."""
        folder = self.folder / "3f2a1bc" / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        for name, sql in scripts.items():
            (folder / f"{name}.sql").write_text(sql)

    @property
    def promotion(self) -> Any:
        catalogue = SimpleNamespace(validation=ValidationPolicy(migrations=self.policy))
        target = SimpleNamespace(
            environment=SimpleNamespace(name="staging"), database=Database(url=SecretStr(self.url))
        )
        application = SimpleNamespace(ledger=self, files=Files(self.folder), catalogue=catalogue)
        return SimpleNamespace(application=application, target=target, catalogue=catalogue, run_id="run")

    def planned(self) -> tuple[Any, tuple[Finding, ...]]:
        return plan_migrations(self.promotion.application, self.promotion.target, RELEASE)

    def migrate(self) -> None:
        migrations, _ = self.planned()
        plan: Any = SimpleNamespace(migrations=migrations, release=RELEASE, target="staging", hash="plan")
        with disable_run_logger():
            migrate_databases.fn(self.promotion, plan)

    def put_back(self) -> str:
        intents = [it.event.details for it in self.kept if it.event.kind is EventKind.MIGRATIONS_INTENT]
        with disable_run_logger():
            return_migrations.fn(self.promotion, "plan", intents)
        return self.kept[-1].event.sentence

    def ask(self, query: str) -> list[Any]:
        with psycopg.connect(self.url) as connection:
            return [row[0] for row in connection.execute(query.encode()).fetchall()]

    @property
    def columns(self) -> set[str]:
        return set(self.ask("select column_name from information_schema.columns where table_name = 'events'"))

    @property
    def kinds(self) -> list[EventKind]:
        return [it.event.kind for it in self.kept]


@pytest.fixture
def world(tmp_path: Path, fresh_database: Callable[[str], str]) -> World:
    made = World(tmp_path, fresh_database(""))
    made.bring(V1__conference=FIRST)
    made.migrate()
    made.kept.clear()
    return made


def verdicts(findings: tuple[Finding, ...]) -> list[Verdict]:
    return [it.verdict for it in findings]


def test_what_is_pending_is_planned_and_reviewed(world: World) -> None:
    world.bring(V2__waiting_list=SAFE)
    plan, findings = world.planned()
    assert [it.name for it in plan.pending] == ["V2__waiting_list.sql"]
    assert verdicts(findings) == [Verdict.PASSED]
    assert plan.table()[0]["name"] == "V2__waiting_list.sql"


def test_nothing_pending_is_a_pass_and_the_fingerprint_stays(world: World) -> None:
    world.bring(V2__waiting_list=SAFE)
    before, _ = world.planned()
    world.migrate()
    after, findings = world.planned()
    assert after.pending == ()
    assert after.fingerprint() == before.fingerprint()
    assert verdicts(findings) == [Verdict.PASSED]


def test_the_intent_is_written_before_the_first_script_and_their_end_after_the_last(world: World) -> None:
    world.bring(V2__waiting_list=SAFE)
    world.migrate()
    assert world.kinds == [EventKind.MIGRATIONS_INTENT, EventKind.MIGRATIONS_APPLIED]
    assert world.kept[0].event.details["safe"] == ["V2__waiting_list.sql"]
    assert "waiting_list" in world.columns
    assert json.dumps(world.kept[0].event.details)


def test_a_run_that_goes_on_answers_for_the_one_that_died(world: World) -> None:
    """Else the migrations of a release that arrived would be taken back by the next failure, long after."""
    world.bring(V2__waiting_list=SAFE)
    world.run_id = "dead"
    world.migrate()
    world.run_id = "next"
    world.migrate()
    assert [it.event.run_id for it in world.kept] == ["dead", "dead", "next", "next"]
    world.append(Event("next", "plan", "staging", EventKind.COMPLETED, "It serves."))
    assert unsettled(world.records(), "staging") == ()
    before = len(world.kept)
    world.migrate()
    assert len(world.kept) == before


@pytest.mark.parametrize(
    ("scripts", "verdict", "words"),
    [
        ({"V2__rename": UNSAFE}, Verdict.FAILED, "V2__rename.sql, line 1"),
        ({"V2__do": "do $$ begin end $$;"}, Verdict.INCONCLUSIVE, "not analysed"),
        ({"V1__conference": f"{FIRST} -- edited"}, Verdict.FAILED, "must never be edited"),
        ({"V0_1__late": "select 1;"}, Verdict.FAILED, "comes before version 1"),
        ({"V2_nothing": "select 1;"}, Verdict.INCONCLUSIVE, "name of a migration script"),
        ({"beforeMigrate": "select 1;"}, Verdict.INCONCLUSIVE, "no callbacks"),
    ],
)
def test_what_stands_against_a_migration_is_a_finding(
    world: World, scripts: dict[str, str], verdict: Verdict, words: str
) -> None:
    world.bring(**scripts)
    _, findings = world.planned()
    assert verdict in verdicts(findings), findings
    assert any(words in it.sentence for it in findings), findings
    assert {it.gate for it in findings} == {"migrations"}


def test_a_script_that_the_target_ran_and_the_release_lacks_is_named(world: World) -> None:
    world.bring(V2__waiting_list=SAFE)
    world.migrate()
    (world.folder / "3f2a1bc" / "migrations" / "V2__waiting_list.sql").unlink()
    _, findings = world.planned()
    assert findings[0].verdict is Verdict.FAILED
    assert "V2__waiting_list.sql" in findings[0].sentence


def test_without_the_folder_nothing_passes(world: World) -> None:
    world.policy = MigrationPolicy("elsewhere/{version}/")
    plan, findings = world.planned()
    assert plan.pending == ()
    assert verdicts(findings) == [Verdict.INCONCLUSIVE]


def test_a_script_that_fails_leaves_those_before_it_and_says_where(world: World) -> None:
    world.bring(V2__waiting_list=SAFE, V3__broken="select 1;\nselect * from nowhere;")
    with pytest.raises(MigrationFailed, match="V3__broken"):
        world.migrate()
    assert "waiting_list" in world.columns
    assert world.kinds == [EventKind.MIGRATIONS_INTENT]


def test_what_brings_its_undo_script_is_undone(world: World) -> None:
    world.bring(V2__rename=UNSAFE, U2__rename="alter table events rename column name to title;")
    world.migrate()
    assert "U2__rename.sql ran" in world.put_back()
    assert world.columns == {"id", "title"}
    assert world.kinds[-1] is EventKind.MIGRATIONS_PUT_BACK


def test_what_is_safe_stays_and_says_so(world: World) -> None:
    world.bring(V2__waiting_list=SAFE)
    world.migrate()
    assert "V2__waiting_list.sql stays: it was found safe" in world.put_back()
    assert "waiting_list" in world.columns


def test_what_is_neither_needs_a_person_who_hears_of_the_snapshot(world: World) -> None:
    world.bring(V2__rename=UNSAFE)
    world.migrate()
    taken = Event("run", "plan", "staging", EventKind.SNAPSHOT_TAKEN, "Taken.", {"snapshot": "batbern-1"})
    world.append(taken)
    with pytest.raises(PromotionError, match="restore the snapshot batbern-1"):
        world.put_back()


def test_a_repeatable_script_that_arrived_stays_where_safe_and_else_needs_a_person(world: World) -> None:
    world.bring(R__seen="create view seen as select 1 as one;")
    world.migrate()
    assert "R__seen.sql stays: it was found safe" in world.put_back()
    world.kept.clear()
    world.bring(R__seen="create or replace view seen as select 2 as one;")
    world.migrate()
    with pytest.raises(PromotionError, match="R__seen"):
        world.put_back()


def test_going_back_twice_is_going_back_once(world: World) -> None:
    world.bring(V2__rename=UNSAFE, U2__rename="alter table events rename column name to title;")
    world.migrate()
    world.put_back()
    assert world.put_back() == "No migration had arrived."
