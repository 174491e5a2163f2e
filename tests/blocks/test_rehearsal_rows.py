"""Rows for every kind of rule, on a real PostgreSQL; and what the running version writes, tried on them."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from rehearsal_world import Bench, running_bench

from blocks.rehearsal_rows import fill_all
from blocks.rehearsal_statements import broken, statements_of
from blocks.rehearsal_tables import read_tables
from rules.rehearsals import judge
from rules.vocabulary import Verdict

SHOP = (Path(__file__).parent.parent / "data" / "rehearsals" / "shop.sql").read_text()
NO_UPDATES = """
    create function no() returns trigger language plpgsql as $$ begin raise 'no; never'; end $$;
    create trigger no before update on bookings for each row execute function no();
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


class Shop:
    """The schema with every kind of rule, filled once; each script is taken back."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.statements = statements_of(connection, fill_all(connection, read_tables(connection), 20))
        connection.commit()

    def broken_by(self, script: str) -> list[str]:
        """The statements that no longer work. Raises what PostgreSQL raises at the script."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(script.encode())
            return [it.statement for it in broken(self.connection, self.statements)]


@pytest.fixture(scope="module")
def shop(bench: Bench) -> Iterator[Shop]:
    with psycopg.connect(bench.target(SHOP).get_secret_value()) as connection:
        yield Shop(connection)


# --- rows for every kind of rule -------------------------------------------------------------------------------


def test_every_table_of_a_schema_with_every_kind_of_rule_gets_rows(bench: Bench) -> None:
    rehearsal = bench.rehearsal(SHOP, "select 1")
    assert rehearsal.unfilled == {}
    assert rehearsal.broken == ()
    assert rehearsal.tables == 15
    assert rehearsal.rows > 200
    assert rehearsal.statements > 200
    assert judge(rehearsal, ["V2__it.sql"]).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "script",
    [
        "alter table orders drop constraint orders_status_check, add check (status in ('paid', 'sent'))",
        "alter table orders drop constraint orders_status_check, add check (status in ('new', 'sent'))",
        "alter table orders alter column sent set not null",
        "alter table customers add check (mood <> 'it''s complicated')",
        "alter table customers add unique (email)",
        "alter table customers alter column favourite_order set not null",
        "alter table customers add check (cardinality(tags) > 0)",
        "alter table order_lines add unique (order_id, article)",
        "alter table stock.articles add check (\"Name\" <> '')",
        "alter table stock.articles alter column price type numeric(3, 3)",
        "alter domain positive add check (value < 1000000)",
        "alter table tenants alter column parent_id set not null",
        "create unique index on history_of_orders (said)",
        "alter table history_of_orders add primary key (order_id)",
    ],
)
def test_a_rule_that_gets_narrower_fails_on_generated_rows(shop: Shop, script: str) -> None:
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.DataError)):
        shop.broken_by(script)


@pytest.mark.parametrize(
    ("script", "statement"),
    [
        ("alter table orders add check (status <> 'new') not valid", "INSERT into public.orders"),
        ("alter table bookings alter column room type text", "SELECT from public.bookings"),
        ("alter table customers alter column mood drop default", "INSERT into public.customers"),
        ("create table audits (o uuid references details); insert into audits select order_id from details",
         "DELETE from public.details"),
        (NO_UPDATES, "UPDATE public.bookings"),
        ("alter table singleton add name text not null default ''; alter table singleton alter name drop default",
         "INSERT into public.singleton"),
        ("drop view open_orders", "SELECT from public.open_orders"),
        ("alter sequence events_id_seq rename to numbers", "NEXTVAL of public.events_id_seq"),
        ("alter table history_of_orders rename said to told", "UPDATE public.history_of_orders (said)"),
        ("alter table events detach partition events_2024", "INSERT into public.events"),
    ],
)  # fmt: skip
def test_what_the_running_version_writes_is_refused_after_the_scripts(shop: Shop, script: str, statement: str) -> None:
    assert [it for it in shop.broken_by(script) if it.startswith(statement)]


@pytest.mark.parametrize(
    "script",
    [
        "alter table orders drop constraint orders_status_check, add check (status in ('new', 'paid', 'sent', 'lost'))",
        "alter table customers alter column email type varchar(80)",
        "alter type mood add value 'tired'",
        "create index on orders (customer_id, placed); analyze orders",
        "create table notes (id integer primary key, order_id uuid references orders)",
        "do $$ begin update orders set amount = amount + 1 where amount < 10; end $$",
    ],
)
def test_what_the_running_version_can_live_with_passes(shop: Shop, script: str) -> None:
    assert shop.broken_by(script) == []
