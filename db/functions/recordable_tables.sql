create or replace function flux.recordable_tables()
    returns setof regclass
    language sql
    stable
    set search_path = ''
as $$
    select class.oid::regclass
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relkind in ('r', 'p', 'f')
        and not class.relispartition
        and class.relpersistence <> 't'
        and namespace.nspname not in ('flux', 'pg_catalog', 'information_schema')
        and namespace.nspname not like 'pg\_toast%'
    order by namespace.nspname, class.relname
$$;

comment on function flux.recordable_tables() is
    'Every table of the user''s, tracked or not: partitioned ones once, by their root.';
