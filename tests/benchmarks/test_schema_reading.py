"""The schema of a thousand tables: read in one snapshot, compared and hashed; beside SQLAlchemy's reflection."""

import time
from collections.abc import Callable

import psycopg
import sqlalchemy
from pydantic import SecretStr

from blocks.databases import schema_at
from rules.schemas import compare

pytest_plugins = ("postgres",)

Report = Callable[[str, float, float, str], float]
TABLES, COLUMNS = 1000, 20


def table(number: int) -> str:
    columns = ", ".join(f"c{at} varchar({at + 5}) not null default 'x'" for at in range(COLUMNS - 2))
    rules = f"unique (c1), check (n > {number})"
    return (
        f"create table t{number} (id bigint primary key, n integer, {columns}, {rules}); create index on t{number} (n);"
    )


def best_of(times: int, work: Callable[[], object]) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def test_a_thousand_tables_are_read_sooner_than_reflected(report: Report, fresh_database: Callable[..., str]) -> None:
    url = fresh_database("".join(map(table, range(TABLES))))
    changed = fresh_database("".join(map(table, range(1, TABLES + 1))))
    old, new = schema_at(SecretStr(url)), schema_at(SecretStr(changed))
    assert old.tables == new.tables == TABLES
    parts = psycopg.conninfo.conninfo_to_dict(url)
    engine = sqlalchemy.create_engine("postgresql+psycopg://", connect_args=parts)
    try:
        reading = best_of(3, lambda: schema_at(SecretStr(url)))
        reflecting = best_of(1, lambda: sqlalchemy.MetaData().reflect(engine))
    finally:
        engine.dispose()
    comparing = best_of(3, lambda: (compare(old, new), old.hash, new.hash))
    assert report("reading the schema of 1,000 tables", reading, reflecting, "SQLAlchemy's reflection") < 1
    report("comparing and hashing two of them", comparing, reading, "reading one")
    assert comparing < 0.5
