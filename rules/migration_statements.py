"""What each kind of statement does to the code that runs. What no rule knows is for a person to look at, never safe.

Statements of a pending script are judged; those of scripts that were applied before only tell what is there.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from rules.migration_reasons import Lock, Safety
from rules.migration_schema import Known, Node, constant, qualified, table_of, texts, values_of

OF_ANOTHER = frozenset({"AT_AttachPartition", "AT_DetachPartition", "AT_AddInherit", "AT_DropInherit"})
"""What is done to a table and changes another one."""
WRITING = frozenset({"delete_stmt", "insert_stmt", "merge_stmt", "update_stmt"})
LANGUAGES = frozenset({"sql", "plpgsql"})
DYNAMIC = re.compile(r"\bexecute\b", re.IGNORECASE)
STABLE = frozenset({"now", "statement_timestamp", "transaction_timestamp", "current_database", "current_setting"})
"""Functions whose value in a default is taken once, so that no row is written."""
SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})
TIMEOUTS = frozenset({"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"})
TWO_STEPS = "in this release let nothing need it any more; drop it in the next one"
ADD_FIRST = "add it beside the old one, write both, move readers in the next release, and drop the old one after that"
FILL_FIRST = "let it be nullable or have a default now; set it NOT NULL when all code that runs writes it"


class Said(NamedTuple):
    verdict: Safety
    sentence: str
    how: str = ""
    lock: Lock = Lock.NONE


def judged(kind: str, node: Node, known: Known) -> Iterator[Said]:
    """What a statement (its kind and its node in libpg_query's tree) does. Takes down in `known` what it makes."""
    rule = RULES.get(kind)
    if rule is None:
        yield Said(
            Safety.REVIEW, f"a statement of the kind {kind.removesuffix('_stmt').replace('_', ' ')}, not analysed"
        )
        return
    if "with_clause" in node and _writes(node["with_clause"]):
        yield Said(Safety.REVIEW, "a WITH changes rows, not analysed")
    yield from rule(node, known)


def _writes(node: Any) -> bool:
    """Whether there is a statement within it that changes rows."""
    if isinstance(node, list):
        return any(map(_writes, node))
    return isinstance(node, dict) and (bool(WRITING & node.keys()) or any(map(_writes, node.values())))


# ------------------------------------------------------------------------------------------------ tables


def _create_table(node: Node, known: Known) -> Iterator[Said]:
    table = table_of(node.get("relation", {}))
    if table in known.gone:
        yield Said(
            Safety.UNSAFE, f"{table} is made anew: what the running code reads there is not what it was", ADD_FIRST
        )
    if not node.get("if_not_exists"):
        known.make(table)
    for element in node.get("table_elts", ()):
        if "column_def" in element:
            _note_column(table, element["column_def"], known)
        elif "constraint" in element:
            _note_check(table, element["constraint"], known)


def _note_column(table: str, column: Node, known: Known) -> None:
    name = f"{table}.{column.get('colname', '')}"
    for it in _constraints(column):
        if it["contype"] in {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"} and not _is_null(it):
            known.defaults.add(name)
        _note_check(table, it, known)
    if _type(column) in SERIAL:
        known.defaults.add(name)


def _note_check(table: str, constraint: Node, known: Known) -> None:
    if constraint.get("contype") == "CONSTR_CHECK":
        found = values_of(constraint.get("raw_expr", {}))
        name = constraint.get("conname") or f"{table.partition('.')[2]}_{found[0] if found else ''}_check"
        known.checks[f"{table}.{name}"] = found


def _alter_table(node: Node, known: Known) -> Iterator[Said]:
    table, is_a = table_of(node.get("relation", {})), node.get("objtype", "OBJECT_TABLE")
    commands = [it["alter_table_cmd"] for it in node.get("cmds", ())]
    if is_a != "OBJECT_TABLE":
        yield Said(Safety.REVIEW, f"{table} is altered, which is no table")
        return
    for command in commands:
        rule = COMMANDS.get(str(command.get("subtype")))
        what = str(command.get("subtype")).removeprefix("AT_")
        if rule:
            said = list(rule(table, command, known))
        else:
            said = [Said(Safety.REVIEW, f"{table} is altered ({what}), not analysed")]
        if not known.is_new(table) or command.get("subtype") in OF_ANOTHER:
            yield from said


def _add_column(table: str, command: Node, known: Known) -> Iterator[Said]:
    column = command.get("def", {}).get("column_def", {})
    name = f"{table}.{column.get('colname', '')}"
    if name in known.gone:
        yield Said(Safety.UNSAFE, f"{name} is made anew: the running code finds something else there", ADD_FIRST)
    if not command.get("missing_ok"):
        known.make(name)
    _note_column(table, column, known)
    given = {it["contype"]: it for it in _constraints(column) if not _is_null(it)}
    if given.keys() & {"CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_FOREIGN"}:
        yield Said(Safety.REVIEW, f"{name} comes with a key, which is checked for every row", "", Lock.SCAN)
    if "CONSTR_GENERATED" in given or "CONSTR_IDENTITY" in given or _type(column) in SERIAL:
        yield Said(Safety.REVIEW, f"{name} is made for every row that is there", "", Lock.REWRITE)
    elif "CONSTR_DEFAULT" in given:
        yield from _default_of_new(name, given["CONSTR_DEFAULT"].get("raw_expr", {}))
    elif given.keys() & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"}:
        yield Said(Safety.UNSAFE, f"{name} must be filled, and the running code does not know it", FILL_FIRST)


def _default_of_new(name: str, expression: Node) -> Iterator[Said]:
    if not _is_taken_once(expression):
        yield Said(
            Safety.REVIEW,
            f"the default of {name} may differ from row to row, so every row is written",
            "add it without a default, set the default after that, and fill it in portions",
            Lock.REWRITE,
        )


def _is_taken_once(node: Node) -> bool:
    if "type_cast" in node:
        return _is_taken_once(node["type_cast"].get("arg", {}))
    if "func_call" in node:
        call = node["func_call"]
        return texts(call.get("funcname", ()))[-1:] in [[it] for it in STABLE] and not call.get("args")
    return "a_const" in node or "sqlvalue_function" in node or "a_array_expr" in node


def _drop_column(table: str, command: Node, known: Known) -> Iterator[Said]:
    name = f"{table}.{command.get('name', '')}"
    was_new = known.is_new(name)
    known.drop(name)
    if not was_new:
        yield Said(Safety.UNSAFE, f"{name} is dropped, and the running code may read or write it", TWO_STEPS, Lock.ALL)


def _set_not_null(table: str, command: Node, known: Known) -> Iterator[Said]:
    name = f"{table}.{command.get('name', '')}"
    if known.is_new(name) and name in known.defaults:
        yield Said(Safety.REVIEW, f"{name} is set NOT NULL, for which all rows are read", "", Lock.SCAN)
        return
    why = "does not know it" if known.is_new(name) else "may write nulls there"
    yield Said(Safety.UNSAFE, f"{name} must be filled from now on, and the running code {why}", FILL_FIRST, Lock.SCAN)


def _default(table: str, command: Node, known: Known) -> Iterator[Said]:
    name = f"{table}.{command.get('name', '')}"
    if command.get("def"):
        known.defaults.add(name)
        return
    known.defaults.discard(name)
    if not known.is_new(name):
        yield Said(Safety.REVIEW, f"{name} loses its default, and the running code may leave it out", FILL_FIRST)


def _alter_type(table: str, command: Node, known: Known) -> Iterator[Said]:
    name = f"{table}.{command.get('name', '')}"
    column = command.get("def", {}).get("column_def", {})
    if known.is_new(name):
        return
    if _type(column) == "text" and not column.get("raw_default"):
        yield Said(Safety.REVIEW, f"{name} becomes text: safe if it was text of a limited length", ADD_FIRST, Lock.ALL)
        return
    yield Said(
        Safety.UNSAFE, f"{name} gets another type, and the running code knows the old one", ADD_FIRST, Lock.REWRITE
    )


def _add_constraint(table: str, command: Node, known: Known) -> Iterator[Said]:
    constraint = command.get("def", {}).get("constraint", {})
    kind, name = constraint.get("contype"), constraint.get("conname", "")
    if kind == "CONSTR_CHECK":
        yield from _add_check(table, constraint, known)
    elif kind == "CONSTR_FOREIGN":
        lock = Lock.NONE if constraint.get("skip_validation") else Lock.SCAN
        sentence = f"the foreign key {name} of {table} refuses rows that the running code may write"
        yield Said(Safety.REVIEW, sentence, "add it NOT VALID, and validate it when all code that runs keeps it", lock)
    else:
        what = "a key" if kind == "CONSTR_PRIMARY" else "a unique or exclusion constraint"
        yield Said(
            Safety.UNSAFE if kind in {"CONSTR_UNIQUE", "CONSTR_EXCLUSION"} else Safety.REVIEW,
            f"{table} gets {what}, which refuses rows that the running code may write",
            "let the code keep it first; make the index CONCURRENTLY, and the constraint from it",
            Lock.SCAN,
        )


def _add_check(table: str, constraint: Node, known: Known) -> Iterator[Said]:
    found = values_of(constraint.get("raw_expr", {}))
    key = f"{table}.{constraint.get('conname', '')}"
    known.checks[key] = found
    if found and known.is_new(f"{table}.{found[0]}"):
        return
    lock = Lock.NONE if constraint.get("skip_validation") else Lock.SCAN
    before = known.dropped_checks.pop(key, None)
    if before and found and before[0] == found[0]:
        if missing := sorted(before[1] - found[1]):
            sentence = f"the check {key} no longer lets in {', '.join(missing)}, which the running code may write"
            yield Said(Safety.UNSAFE, sentence, "let the code stop writing it first", lock)
        return
    sentence = f"the check {key} may refuse what the running code writes"
    yield Said(Safety.UNSAFE, sentence, "let the code keep it first; then add it NOT VALID, and validate it", lock)


def _drop_constraint(table: str, command: Node, known: Known) -> Iterator[Said]:
    key = f"{table}.{command.get('name', '')}"
    if key in known.checks:
        known.dropped_checks[key] = known.checks.pop(key)
        return
    yield Said(Safety.REVIEW, f"the constraint {key} is dropped, on which the running code may count")


def _nothing(_table: str, _command: Node, _known: Known) -> Iterator[Said]:
    yield from ()


COMMANDS: dict[str, Callable[[str, Node, Known], Iterator[Said]]] = {
    "AT_AddColumn": _add_column,
    "AT_DropColumn": _drop_column,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _nothing,
    "AT_ColumnDefault": _default,
    "AT_AlterColumnType": _alter_type,
    "AT_AddConstraint": _add_constraint,
    "AT_DropConstraint": _drop_constraint,
    "AT_ValidateConstraint": _nothing,
    "AT_SetStatistics": _nothing,
    "AT_SetStorage": _nothing,
}


def _constraints(column: Node) -> list[Node]:
    return [it["constraint"] for it in column.get("constraints", ()) if "constraint" in it]


def _is_null(constraint: Node) -> bool:
    """Whether it is a default that fills nothing."""
    return bool(constraint.get("raw_expr", {}).get("a_const", {}).get("isnull"))


def _type(column: Node) -> str:
    names = texts(column.get("type_name", {}).get("names", ()))
    return names[-1] if names else ""


# ------------------------------------------------------------------------------------------ everything else


def _rename(node: Node, known: Known) -> Iterator[Said]:
    table = table_of(node.get("relation", {})) if "relation" in node else ""
    old = f"{table}.{node['subname']}" if table and node.get("subname") else table or "a name"
    if known.is_new(old, table):
        known.make(f"{table}.{node.get('newname', '')}")
        return
    known.drop(old)
    kind = str(node.get("rename_type", "")).removeprefix("OBJECT_").lower()
    if kind in {"index", "tabconstraint", "policy", "trigger"}:
        yield Said(Safety.REVIEW, f"a {kind} of {table} gets another name")
        return
    yield Said(
        Safety.UNSAFE, f"{old} gets the name {node.get('newname')}, and the running code knows the old", ADD_FIRST
    )


def _drop(node: Node, known: Known) -> Iterator[Said]:
    kind = str(node.get("remove_type", "")).removeprefix("OBJECT_").lower()
    for name in _dropped(node):
        # of a function's name there may be several, and only one is new
        was_new = known.is_new(name) and kind not in {"function", "procedure", "routine", "aggregate"}
        known.drop(name)
        if kind in {"index", "trigger", "policy", "rule"}:
            yield Said(Safety.REVIEW, f"the {kind} {name} is dropped, on which the running code may count")
        elif not was_new:
            sentence = f"the {kind} {name} is dropped, and the running code may use it"
            yield Said(Safety.UNSAFE, sentence, TWO_STEPS, Lock.ALL)


def _dropped(node: Node) -> Iterator[str]:
    for it in node.get("objects", ()):
        if "list" in it:
            yield qualified(texts(it["list"].get("items", ())))
        elif "type_name" in it:
            yield qualified(texts(it["type_name"].get("names", ())))
        elif "object_with_args" in it:
            yield qualified(texts(it["object_with_args"].get("objname", ())))
        else:
            yield "something"


def _index(node: Node, known: Known) -> Iterator[Said]:
    table = table_of(node.get("relation", {}))
    if known.is_new(table):
        return
    if node.get("unique"):
        sentence = f"the unique index {node.get('idxname', '')} refuses rows that the running code may write to {table}"
        yield Said(Safety.UNSAFE, sentence, "let the code keep it first", Lock.WRITES)
    elif not node.get("concurrent"):
        how = "CREATE INDEX CONCURRENTLY, in a script with executeInTransaction=false"
        yield Said(Safety.REVIEW, f"while the index on {table} is made nobody can write to it", how, Lock.WRITES)


def _update(node: Node, known: Known) -> Iterator[Said]:
    table = table_of(node.get("relation", {}))
    columns = [f"{table}.{it['res_target'].get('name', '')}" for it in node.get("target_list", ())]
    if known.is_new(table) or (columns and all(known.is_new(it) for it in columns)):
        return
    yield Said(Safety.REVIEW, f"rows of {table} are changed that the running code reads, not analysed")


def _delete(node: Node, known: Known) -> Iterator[Said]:
    tables = [it["range_var"] for it in node.get("relations", ())] or [node.get("relation", {})]
    for table in map(table_of, tables):
        if not known.is_new(table):
            yield Said(Safety.UNSAFE, f"rows of {table} are deleted, and the running code may need them", TWO_STEPS)


def _function(node: Node, known: Known) -> Iterator[Said]:
    name = qualified(texts(node.get("funcname", ())))
    told = {it["def_elem"]["defname"]: it["def_elem"].get("arg", {}) for it in node.get("options", ())}
    language = str(told.get("language", {}).get("string", {}).get("sval", "sql")).lower()
    if language not in LANGUAGES or DYNAMIC.search(str(told.get("as", ""))):
        yield Said(Safety.REVIEW, f"the function {name} has dynamic SQL or is not in SQL, not analysed")
    if node.get("replace") and not known.is_new(name):
        yield Said(Safety.REVIEW, f"the function {name} is replaced, not analysed")
    known.make(name)


def _view(node: Node, known: Known) -> Iterator[Said]:
    name = table_of(node.get("view", {}))
    if name in known.gone:
        yield Said(
            Safety.UNSAFE, f"the view {name} is made anew: the running code finds something else there", ADD_FIRST
        )
    elif node.get("replace") and not known.is_new(name):
        yield Said(Safety.REVIEW, f"the view {name} is replaced, not analysed")
    known.make(name)


def _trigger(node: Node, known: Known) -> Iterator[Said]:
    table = table_of(node.get("relation", {}))
    if not known.is_new(table):
        yield Said(Safety.REVIEW, f"a trigger on {table} changes what happens to the running code's statements")


def _enum(node: Node, known: Known) -> Iterator[Said]:
    name = qualified(texts(node.get("type_name", ())))
    if node.get("old_val") and not known.is_new(name):
        sentence = f"the label {node['old_val']} of {name} gets another name, and the running code knows the old"
        yield Said(Safety.UNSAFE, sentence, ADD_FIRST)


def _grant(node: Node, _known: Known) -> Iterator[Said]:
    if not node.get("is_grant"):
        yield Said(Safety.UNSAFE, "a privilege is taken away that the running code may need", TWO_STEPS)


def _set(node: Node, _known: Known) -> Iterator[Said]:
    if node.get("name") not in TIMEOUTS:
        yield Said(
            Safety.REVIEW, f"{node.get('name') or 'a setting'} is set, and what follows is read under another one"
        )


def _select(node: Node, _known: Known) -> Iterator[Said]:
    if "func_call" in str(node) or "into_clause" in node:
        yield Said(Safety.REVIEW, "a SELECT calls a function or makes a table, not analysed")


def _insert(node: Node, _known: Known) -> Iterator[Said]:
    if "on_conflict_clause" in node:
        yield Said(Safety.REVIEW, f"rows of {table_of(node.get('relation', {}))} may be changed, not analysed")


def _unknown(words: str) -> Callable[[Node, Known], Iterable[Said]]:
    return lambda _node, _known: (Said(Safety.REVIEW, words),)


def _makes_type(node: Node, known: Known) -> Iterator[Said]:
    known.make(qualified(texts(node.get("type_name") or node.get("domainname") or ())))
    yield from ()


def _harmless(_node: Node, _known: Known) -> Iterator[Said]:
    yield from ()


RULES: dict[str, Callable[[Node, Known], Iterable[Said]]] = {
    "create_stmt": _create_table,
    "alter_table_stmt": _alter_table,
    "rename_stmt": _rename,
    "drop_stmt": _drop,
    "index_stmt": _index,
    "update_stmt": _update,
    "delete_stmt": _delete,
    "truncate_stmt": _delete,
    "insert_stmt": _insert,
    "select_stmt": _select,
    "create_function_stmt": _function,
    "view_stmt": _view,
    "create_trig_stmt": _trigger,
    "alter_enum_stmt": _enum,
    "create_enum_stmt": _makes_type,
    "create_domain_stmt": _makes_type,
    "grant_stmt": _grant,
    "variable_set_stmt": _set,
    "do_stmt": _unknown("a block of dynamic SQL, not analysed"),
    "call_stmt": _unknown("a procedure is called, not analysed"),
    "transaction_stmt": _unknown("the script ends or begins a transaction by itself, so it may be left half applied"),
    "comment_stmt": _harmless,
    "create_seq_stmt": _harmless,
    "create_schema_stmt": _harmless,
    "create_extension_stmt": _harmless,
    "composite_type_stmt": _harmless,
}

__all__ = ["Said", "constant", "judged"]
