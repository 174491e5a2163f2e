-- A schema with every kind of rule that a row must satisfy.
create schema stock;
create type mood as enum ('good', 'bad', 'it''s complicated');
create type address as (street text, zip text);
create domain sku as varchar(12) check (value ~ '^[A-Z]{3}-[0-9]{1,6}$');
create domain positive as integer not null check (value > 0);

create table tenants (
    id integer primary key check (id between 1 and 9999),
    slug text not null unique check (slug ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$'),
    parent_id integer references tenants (id)
);
create table customers (
    id bigint generated always as identity primary key,
    tenant_id integer not null references tenants,
    email varchar(60) not null check (email like '%@%'),
    mood mood not null default 'good',
    born date check (born >= '1900-01-01' and born < '2030-01-01'),
    home address,
    tags text[] not null default '{}',
    settings jsonb not null check (jsonb_typeof(settings) = 'object'),
    full_name text not null,
    name_length integer generated always as (length(full_name)) stored,
    favourite_order uuid,
    created_at timestamptz not null default now(),
    unique (tenant_id, email)
);
create unique index on customers (lower(full_name)) where mood = 'bad';
create table orders (
    id uuid primary key default gen_random_uuid(),
    customer_id bigint not null references customers on delete cascade,
    status varchar(10) not null check (status in ('new', 'paid', 'sent')),
    placed timestamp not null,
    sent timestamp,
    amount numeric(8, 2) not null check (amount >= 0),
    check (sent is null or sent > placed),
    check ((status = 'sent') = (sent is not null))
);
alter table customers add foreign key (favourite_order) references orders;
create table stock.articles (
    tenant_id integer not null references tenants,
    code sku,
    weight positive,
    "Name" char(10),
    price numeric(5, 3) not null check (price > 0.5 and price < 2),
    colour bit(4) not null,
    primary key (tenant_id, code)
);
create table order_lines (
    order_id uuid not null references orders,
    line smallint not null check (line > 0),
    tenant_id integer not null references tenants,
    article sku not null,
    quantity positive,
    primary key (order_id, line),
    foreign key (tenant_id, article) references stock.articles (tenant_id, code)
);
create table details (
    order_id uuid primary key references orders,
    note text check (char_length(note) between 5 and 8)
);
create table bookings (
    room integer not null,
    during tsrange not null,
    exclude using gist (during with &&)
);
create table events (
    id bigserial,
    at date not null,
    kind text not null,
    primary key (id, at)
) partition by range (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create table shards (id integer not null, region text not null) partition by list (region);
create table shards_eu partition of shards for values in ('de', 'ch');
create table singleton (there boolean primary key check (there), version integer not null);
create table husbands (id integer primary key, wife integer);
create table wives (id integer primary key, husband integer not null references husbands);
alter table husbands add foreign key (wife) references wives;
create table loops (id integer primary key, next integer not null references loops);
create table odd (
    a money, b macaddr, c inet, d cidr, e interval, f time, g timetz, h xml, i point, j box, k tsvector, l "char",
    m name, n oid, o int4range, p float4, q float8, r bytea, s json, t bool[], u numeric[], v varbit(5), w circle,
    x polygon, y pg_lsn, z int4multirange
);
create table history_of_orders (order_id uuid, said text);
create function told() returns trigger language plpgsql as $$
begin
    if new.amount > 100000 then raise exception 'amount % is too much', new.amount; end if;
    insert into history_of_orders values (new.id, 'made; placed');
    return new;
end $$;
create trigger told before insert on orders for each row execute function told();
create view open_orders as select id, amount from orders where status = 'new';
create table flyway_schema_history (installed_rank integer primary key, version varchar(50));
