create or replace function flux.stored_columns(target regclass)
    returns table (place integer, name text, type oid, path text[])
    language sql
    stable
    set search_path = ''
as $$
    select
        attribute.attnum::integer,
        attribute.attname::text,
        attribute.atttypid,
        array[namespace.nspname::text, class.relname::text, attribute.attname::text]
    from pg_attribute as attribute
    join pg_class as class on class.oid = attribute.attrelid
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where attribute.attrelid = coalesce(pg_partition_root(target), target)
        and attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated <> 'v'
$$;

comment on function flux.stored_columns(regclass) is
    'The columns of a table that hold data, those of its root for a partition: all but dropped and virtual ones.';
