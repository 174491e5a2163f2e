"""Reads the tables of a scratch database as the generator of rows must know them, from PostgreSQL's catalogue."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from rules.row_tables import Column, ColumnType, Reference, Rule, Table

HISTORY = "flyway_schema_history"
_TABLES = """
    select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
"""
_COLUMNS = """
    select a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated,
           format_type(a.atttypid, a.atttypmod) as type_name, pg_get_expr(d.adbin, d.adrelid) as expression
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = any(%s) and a.attnum > 0 and not a.attisdropped order by a.attrelid, a.attnum
"""
_TYPES = """
    select t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype, t.typtypmod, t.typnotnull,
           case when t.typcategory = 'A' then t.typelem else 0 end as element, format_type(t.oid, null) as type_name
    from pg_type t
"""
_LABELS = "select enumtypid, array_agg(enumlabel::text order by enumsortorder) as labels from pg_enum group by 1"
_CHECKS = """
    select k.conrelid, k.contypid, k.conname,
           coalesce((select array_agg(a.attname::text order by a.attnum) from pg_attribute a
                     where a.attrelid = k.conrelid and a.attnum = any(k.conkey)), '{}') as columns,
           coalesce(pg_get_expr(k.conbin, k.conrelid), substr(pg_get_constraintdef(k.oid), 7)) as expression
    from pg_constraint k where k.contype = 'c'
"""
_UNIQUES = """
    select i.indrelid, x.relname,
           (select array_agg(distinct a.attname::text) from pg_depend d join pg_attribute a
            on a.attrelid = i.indrelid and a.attnum = d.refobjsubid
            where d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
              and ((d.classid = 'pg_class'::regclass and d.objid = i.indexrelid)
                or (d.classid = 'pg_constraint'::regclass and d.objid in
                    (select oid from pg_constraint where conindid = i.indexrelid and contype <> 'f')))
           ) as columns
    from pg_index i join pg_class x on x.oid = i.indexrelid
    where (i.indisunique or i.indisexclusion) and i.indrelid = any(%s) order by 1, 2
"""
_REFERENCES = """
    select k.conrelid, k.conname, k.condeferrable, n.nspname || '.' || c.relname as referred_table,
           (select array_agg(a.attname::text order by u.at) from unnest(k.conkey) with ordinality u(num, at)
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num) as columns,
           (select array_agg(a.attname::text order by u.at) from unnest(k.confkey) with ordinality u(num, at)
            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.num) as referred
    from pg_constraint k join pg_class c on c.oid = k.confrelid join pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any(%s) order by 1, 2
"""
_PARTITIONS = """
    select i.inhparent, p.partattrs::text as attributes, pg_get_expr(c.relpartbound, c.oid) as bound,
           (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
            where a.attrelid = i.inhparent and a.attnum = any(p.partattrs)) as columns
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    join pg_partitioned_table p on p.partrelid = i.inhparent where i.inhparent = any(%s) order by c.relname
"""
_LENGTHS = {"varchar", "bpchar", "bit", "varbit"}
_BOUND = re.compile(r"'((?:[^']|'')*)'|(?<![\w'])(-?\d+(?:\.\d+)?)(?![\w'])")

Rows = list[dict[str, Any]]


def read_tables(connection: Connection[Any], leave_out: Iterable[str] = (HISTORY,)) -> tuple[Table, ...]:
    """All tables but partitions, extensions' and migration histories, with what a row in them must satisfy."""
    with connection.cursor(row_factory=dict_row) as cursor:

        def ask(query: str, *values: object) -> Rows:
            return cursor.execute(query.encode(), values or None).fetchall()

        left_out = set(leave_out)
        tables = [it for it in ask(_TABLES) if it["relname"] not in left_out]
        oids = [it["oid"] for it in tables]
        types = _Types({it["oid"]: it for it in ask(_TYPES)}, {it["enumtypid"]: it["labels"] for it in ask(_LABELS)})
        checks = ask(_CHECKS)
        types.take_checks(checks)
        found = _Found(types, checks, ask(_COLUMNS, oids), ask(_UNIQUES, oids), ask(_REFERENCES, oids))
        found.partitions = ask(_PARTITIONS, oids)
        return tuple(found.table(it) for it in tables)


@dataclass(slots=True)
class _Types:
    known: Mapping[int, dict[str, Any]]
    labels: Mapping[int, list[str]]
    checks: dict[int, list[Rule]] = field(default_factory=dict)

    def take_checks(self, checks: Rows) -> None:
        for it in checks:
            if it["contypid"]:
                rule = Rule(it["conname"], ("VALUE",), it["expression"])
                self.checks.setdefault(it["contypid"], []).append(rule)

    def type_of(self, oid: int, modifier: int, name: str) -> ColumnType:
        """Of a column: through its domains down to what it is made of."""
        it, rules, required = self.known[oid], list(self.checks.get(oid, ())), False
        while it["typtype"] == "d":
            required = required or it["typnotnull"]
            modifier = it["typtypmod"] if it["typtypmod"] >= 0 else modifier
            it = self.known[it["typbasetype"]]
            rules += self.checks.get(it["oid"], ())
        element = self.known.get(it["element"]) if it["element"] else None
        made = ColumnType(
            name,
            it["typname"],
            labels=tuple(self.labels.get(it["oid"], ())),
            element=self.type_of(element["oid"], modifier, element["type_name"]) if element else None,
            rules=tuple(rules),
            required=required,
            input_name=name if it["oid"] == oid else it["type_name"],
        )
        return _sized(made, modifier)


def _sized(kind: ColumnType, modifier: int) -> ColumnType:
    """With the limits that PostgreSQL keeps in one number, as its source (numeric.c, varchar.c) packs them."""
    if modifier < 0:
        return kind
    if kind.base == "numeric":
        scale = ((modifier - 4) & 0x7FF) ^ 1024
        return replace(kind, precision=((modifier - 4) >> 16) & 0xFFFF, scale=scale - 1024)
    if kind.base in _LENGTHS:
        return replace(kind, length=modifier if kind.base in {"bit", "varbit"} else modifier - 4)
    return replace(kind, scale=modifier) if kind.base == "vector" else kind


@dataclass(slots=True)
class _Found:
    types: _Types
    checks: Rows
    columns: Rows
    uniques: Rows
    references: Rows
    partitions: Rows = field(default_factory=list)

    def table(self, it: Mapping[str, Any]) -> Table:
        oid = it["oid"]
        return Table(
            it["nspname"],
            it["relname"],
            tuple(self._column(column) for column in self.columns if column["attrelid"] == oid),
            tuple(Rule(key["relname"], tuple(key["columns"] or ())) for key in self.uniques if key["indrelid"] == oid),
            (*self._checks(oid), *_bounds(it["relname"], [one for one in self.partitions if one["inhparent"] == oid])),
            tuple(
                Reference(
                    one["conname"],
                    tuple(one["columns"]),
                    one["referred_table"],
                    tuple(one["referred"]),
                    one["condeferrable"],
                )
                for one in self.references
                if one["conrelid"] == oid
            ),
        )

    def _checks(self, oid: int) -> list[Rule]:
        return [
            Rule(it["conname"], tuple(it["columns"]), it["expression"]) for it in self.checks if it["conrelid"] == oid
        ]

    def _column(self, it: Mapping[str, Any]) -> Column:
        generated = bool(it["attgenerated"]) or it["attidentity"] == "a"
        counted = "nextval(" in (it["expression"] or "")
        return Column(
            it["attname"],
            self.types.type_of(it["atttypid"], it["atttypmod"], it["type_name"]),
            nullable=not it["attnotnull"],
            defaulted=it["atthasdef"] or bool(it["attidentity"]),
            automatic=generated or counted or bool(it["attidentity"]),
            generated=generated,
            computed=bool(it["attgenerated"]),
        )


def _bounds(table: str, partitions: Rows) -> list[Rule]:
    """What each partition takes, as an expression of its first column: from a lower bound on, or one of the list."""
    rules = []
    for it in partitions:
        lower, _, upper = (it["bound"] or "").partition(" TO ")
        if not it["columns"] or "WITH (" in lower:
            continue
        column = '"' + it["columns"][0].replace('"', '""') + '"'
        bounds = [text.replace("''", "'") or number for text, number in _BOUND.findall(lower)]
        compared = ">=" if upper else "="
        expression = " OR ".join(f"{column} {compared} {_literal(bound)}" for bound in bounds)
        rules += [Rule(table, tuple(it["columns"]), expression)] if expression else []
    return rules


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
