create or replace function flux.copyable_tables()
    returns table (
        table_name    text,
        schema_name   text,
        relation      text,
        is_tracked    boolean,
        has_key       boolean,
        is_readable   boolean,
        rows          bigint,
        bytes         bigint
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        flux.logical_name(class.oid::regclass),
        namespace.nspname::text,
        class.relname::text,
        (flux.recorder_trigger(class.oid::regclass)).oid is not null,
        flux.key_columns(class.oid::regclass) is not null,
        has_table_privilege(class.oid, 'select') and has_schema_privilege(namespace.oid, 'usage'),
        size.rows,
        size.bytes
    from flux.recordable_tables() as listed (target)
    join pg_class as class on class.oid = listed.target
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    cross join lateral (
        select
            -- Never analysed: a guess by its size, at a hundred bytes a row.
            coalesce(sum(
                case when leaf.reltuples >= 0 then leaf.reltuples::bigint else pg_relation_size(leaf.oid) / 100 end
            ), 0)::bigint as rows,
            coalesce(sum(pg_table_size(leaf.oid)), 0)::bigint as bytes
        from pg_class as leaf
        where leaf.relkind = 'r'
            and (leaf.oid = class.oid or leaf.oid in (select tree.relid from pg_partition_tree(class.oid) as tree))
    ) as size
    where class.relkind in ('r', 'p')
        and not exists (
            select
            from pg_depend
            where classid = 'pg_class'::regclass
                and objid = class.oid
                and deptype = 'e'
        )
    order by 1
$$;

comment on function flux.copyable_tables() is
    'The user''s tables as a sandbox may copy them: whether their past is recorded, whether they have a key, and their size.';
