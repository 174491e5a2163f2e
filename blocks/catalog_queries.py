"""What PostgreSQL's catalogue says of a schema, as rows of (qualified name, its table or '', facts as JSON of texts).

Asked with search_path = pg_catalog, so that every name in a definition is qualified. `$theirs` stands for the schemas
that count: those that were asked for, or all but the system's own. Extensions' objects are left out everywhere.
"""

from string import Template

from rules.schema_changes import Kind

THEIRS = """
    (n.nspname = any(%(schemas)s) or (cardinality(%(schemas)s) = 0 and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'))
"""
NOT_AN_EXTENSIONS = """not exists (select from pg_depend e where e.classid = 'pg_catalog.$catalogue'::regclass
    and e.objid = $oid and e.deptype = 'e')"""


def _no(catalogue: str, oid: str) -> str:
    return Template(NOT_AN_EXTENSIONS).substitute(catalogue=catalogue, oid=oid)


PARTS = {
    "theirs": THEIRS,
    "mine": f"{THEIRS} and {_no('pg_class', 'c.oid')} and c.relname <> all(%(left_out)s)",
    "no_type": _no("pg_type", "t.oid"),
    "no_function": _no("pg_proc", "p.oid"),
    "class": "pg_class c join pg_namespace n on n.oid = c.relnamespace",
    "name": "n.nspname || '.' || c.relname",
}


def whole(query: str) -> str:
    """A query with its parts put in. All of it is our own text."""
    return Template(query).substitute(PARTS)


TABLES = """
    select $name, '', json_build_object(
        'persistence', c.relpersistence, 'partitioned by', coalesce(pg_get_partkeydef(c.oid), ''),
        'row security', case when c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'on' else 'off' end)
    from $class where c.relkind in ('r', 'p', 'f') and $mine
"""
PARTITIONS = """
    select $name, '', json_build_object('of', i.inhparent::regclass::text,
        'bound', coalesce(pg_get_expr(c.relpartbound, c.oid), ''))
    from $class join pg_inherits i on i.inhrelid = c.oid where c.relkind in ('r', 'p', 'f') and $mine
"""
COLUMNS = """
    select $name || '.' || a.attname, $name, json_build_object(
        'type', format_type(a.atttypid, a.atttypmod), 'nullable', (not (a.attnotnull or t.typnotnull))::text,
        'default', case when a.attgenerated = ''
            then coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault, '') else '' end,
        'generated', case when a.attgenerated <> ''
            then a.attgenerated::text || ' ' || pg_get_expr(d.adbin, d.adrelid) else '' end,
        'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' else '' end,
        'collation', case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text else '' end)
    from $class join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped and $mine
"""
CONSTRAINTS = """
    select $name || '.' || k.conname, $name, json_build_object('definition', pg_get_constraintdef(k.oid)), k.contype
    from $class join pg_constraint k on k.conrelid = c.oid
    where k.contype in ('p', 'f', 'u', 'x', 'c') and $mine
"""
INDEXES = """
    select n.nspname || '.' || x.relname, $name, json_build_object('definition', pg_get_indexdef(i.indexrelid),
        'unique', i.indisunique::text, 'valid', (i.indisvalid and i.indisready)::text)
    from $class join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
    where c.relkind in ('r', 'p', 'm') and $mine and not exists (
        select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
"""
ENUMS = """
    select n.nspname || '.' || t.typname, '',
        (select json_object_agg(l.enumlabel, l.rank::text) from (
            select e.enumlabel, rank() over (order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) l)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where t.typtype = 'e' and $theirs and $no_type
"""
DOMAINS = """
    select n.nspname || '.' || t.typname, '', json_build_object(
        'type', format_type(t.typbasetype, t.typtypmod), 'nullable', (not t.typnotnull)::text,
        'default', coalesce(t.typdefault, ''), 'checks', coalesce((
            select string_agg(pg_get_constraintdef(k.oid), ' and ' order by k.conname)
            from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), ''))
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where t.typtype = 'd' and $theirs and $no_type
"""
VIEWS = """
    select $name, '', json_build_object('definition', pg_get_viewdef(c.oid),
        'options', coalesce(c.reloptions::text, ''), 'materialized', (c.relkind = 'm')::text, 'columns', (
            select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum)
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
    from $class where c.relkind in ('v', 'm') and $mine
"""
FUNCTIONS = """
    select n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', '',
        json_build_object('kind', p.prokind, 'result', coalesce(pg_get_function_result(p.oid), ''), 'definition',
            case when p.prokind = 'a' then '' else pg_get_functiondef(p.oid) end)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where $theirs and $no_function
"""
TRIGGERS = """
    select $name || '.' || g.tgname, $name, json_build_object('definition', pg_get_triggerdef(g.oid),
        'enabled', g.tgenabled)
    from $class join pg_trigger g on g.tgrelid = c.oid where not g.tgisinternal and $mine
"""
POLICIES = """
    select $name || '.' || y.polname, $name, json_build_object('command', y.polcmd,
        'permissive', y.polpermissive::text, 'using', coalesce(pg_get_expr(y.polqual, y.polrelid), ''),
        'check', coalesce(pg_get_expr(y.polwithcheck, y.polrelid), ''), 'roles', (
            select coalesce(string_agg(case when r = 0 then 'public' else r::regrole::text end, ', ' order by r), '')
            from unnest(y.polroles) r))
    from $class join pg_policy y on y.polrelid = c.oid where $mine
"""
SEQUENCES = """
    select $name, '', json_build_object('type', s.seqtypid::regtype::text, 'increment', s.seqincrement::text,
        'minimum', s.seqmin::text, 'maximum', s.seqmax::text, 'cycle', s.seqcycle::text)
    from $class join pg_sequence s on s.seqrelid = c.oid where $mine and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')
"""
GRANTS = """
    select $name || ' to ' || case when g.grantee = 0 then 'public' else g.grantee::regrole::text end, '',
        json_object_agg(g.privilege_type, case when g.is_grantable then 'with grant option' else '' end)
    from $class, aclexplode(c.relacl) g
    where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and g.grantee <> c.relowner and $mine group by 1
"""

QUERIES: tuple[tuple[Kind, str], ...] = (
    (Kind.TABLE, TABLES),
    (Kind.PARTITION, PARTITIONS),
    (Kind.COLUMN, COLUMNS),
    (Kind.INDEX, INDEXES),
    (Kind.ENUM, ENUMS),
    (Kind.DOMAIN, DOMAINS),
    (Kind.VIEW, VIEWS),
    (Kind.FUNCTION, FUNCTIONS),
    (Kind.TRIGGER, TRIGGERS),
    (Kind.POLICY, POLICIES),
    (Kind.SEQUENCE, SEQUENCES),
    (Kind.GRANT, GRANTS),
)
CONSTRAINT_KINDS = {
    "p": Kind.PRIMARY_KEY,
    "f": Kind.FOREIGN_KEY,
    "u": Kind.UNIQUE,
    "x": Kind.EXCLUSION,
    "c": Kind.CHECK,
}
