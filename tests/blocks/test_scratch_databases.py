"""The databases of rehearsals: made on another server than the target's, and gone afterwards whatever happened."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from rehearsal_world import TABLE, Bench, running_bench

from blocks.rehearsals import RehearsalLimits, RehearsedScript, rehearse
from blocks.scratch_databases import ScratchServer, places, statements
from rules.errors import InvalidInput, Outage
from rules.rehearsals import judge
from rules.vocabulary import Verdict


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


def test_the_scratch_database_is_gone_afterwards_also_after_an_error(bench: Bench) -> None:
    bench.finding(TABLE, "select 1")
    target = bench.target(TABLE)
    during: list[str] = []

    def dies() -> None:
        with bench.server.database(target) as scratch, psycopg.connect(scratch.get_secret_value()):
            during.extend(bench.databases())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        dies()
    assert len(during) == 1
    assert bench.databases() == []


def test_databases_that_dead_runs_left_are_dropped_and_others_stay(bench: Bench) -> None:
    old, young, other = (f"rehearsal_{it}_0123456789abcdef" for it in ("202401010000", "209901010000", "20240101"))
    bench.running.create(old, young, other)
    with bench.server.database(bench.target(TABLE)):
        assert set(bench.databases()) & {old, young, other} == {young, other}
    with psycopg.connect(bench.running.url(), autocommit=True) as connection:
        for name in (young, other):
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_the_target_s_own_server_is_refused(bench: Bench) -> None:
    strict = bench.server.model_copy(update={"same_server_is_fine": False})
    with pytest.raises(InvalidInput, match="the target's own server"):
        rehearse(strict, bench.target(TABLE), [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    assert bench.databases() == []


def test_one_server_under_two_names_is_refused(bench: Bench) -> None:
    elsewhere = bench.target(TABLE).get_secret_value() + "&port=5432&application_name=x"
    strict = bench.server.model_copy(update={"same_server_is_fine": False})
    target = SecretStr(elsewhere.replace("host=", "host=%2Fnowhere,"))
    with pytest.raises(InvalidInput, match="the target's own server"):
        strict.copy_schema(target, bench.target(""))


@pytest.mark.parametrize(
    ("target", "scratch", "is_same"),
    [
        ("postgresql://a:b@db.example.org/x", "postgresql://c@DB.example.org:5432/postgres", True),
        ("postgresql://a:b@db.example.org/x", "postgresql://a:b@db.example.org:5433/x", False),
        ("host=localhost dbname=x", "postgresql://u@127.0.0.1/y", True),
        ("postgresql:///x", "postgresql://localhost/y", True),
        ("postgresql://a@one,two/x", "postgresql://a@two/y", True),
    ],
)
def test_a_server_is_known_by_host_and_port(target: str, scratch: str, is_same: bool) -> None:
    assert bool(places(SecretStr(target)) & places(SecretStr(scratch))) is is_same


def test_where_pg_dump_is_missing_nothing_was_rehearsed(bench: Bench) -> None:
    without = bench.server.model_copy(update={"pg_dump": "pg_dump_that_is_not_there"})
    rehearsal = rehearse(without, bench.target(TABLE), [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    finding = judge(rehearsal, ["V2__it.sql"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.sentence.startswith("Nothing was rehearsed: The program pg_dump_that_is_not_there is not on this")
    assert bench.databases() == []


def test_a_target_that_cannot_be_reached_is_no_pass_and_its_password_is_not_told(bench: Bench) -> None:
    target = SecretStr("postgresql://app:hunter2secret@127.0.0.1:1/app")
    rehearsal = rehearse(bench.server, target, [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    finding = judge(rehearsal, ["V2__it.sql"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "Nothing was rehearsed: The target could not be read" in finding.sentence
    assert "hunter2secret" not in finding.sentence


def test_a_scratch_server_that_does_not_answer_is_an_outage(bench: Bench) -> None:
    dead = ScratchServer(url=SecretStr("postgresql://u:hunter2secret@127.0.0.1:1/postgres"))
    with pytest.raises(Outage, match="The scratch server did not answer") as raised:
        rehearse(dead, bench.target(TABLE), [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    assert "hunter2secret" not in str(raised.value)


def test_what_scripts_grant_to_roles_of_the_target_works(bench: Bench) -> None:
    schema = TABLE + "create role shop_reader; alter table customers enable row level security;"
    schema += "create policy own on customers to shop_reader using (phone is not null);"
    finding = bench.finding(schema, "grant select on customers to shop_reader")
    assert finding.verdict is Verdict.PASSED, finding.sentence


def test_psql_s_own_commands_are_left_out_of_a_dump() -> None:
    assert statements("\\restrict abc\n\nselect 1;\n-- it\n\\unrestrict abc\n") == ("select 1",)
