create or replace function flux.catalogue(reader text default null)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select jsonb_agg(
        jsonb_build_object(
            'key', format('%I.%I', namespace.nspname, class.relname),
            'schema', namespace.nspname,
            'name', class.relname,
            'kind', case class.relkind
                when 'v' then 'view'
                when 'm' then 'materialized view'
                when 'f' then 'foreign table'
                else 'table'
            end,
            'estimated_rows', case when class.reltuples >= 0 then class.reltuples::bigint end,
            'columns', flux.catalogue_columns(class.oid, reader),
            'primary_key', (
                select flux.attribute_names(key.conrelid, key.conkey)
                from pg_catalog.pg_constraint as key
                where key.conrelid = class.oid
                    and key.contype = 'p'
            ),
            'foreign_keys', flux.catalogue_foreign_keys(class.oid),
            'indexes', flux.catalogue_indexes(class.oid)
        )
    )
    from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relkind in ('r', 'p', 'v', 'm', 'f')
        and not class.relispartition
        and namespace.nspname not in ('information_schema', 'flux')
        and namespace.nspname !~ '^(pg|flux_role)_'
$$;

comment on function flux.catalogue(text) is
    'Every table and view of the project with its columns, keys and indexes, for compiling queries; columns say whether the role may read them.';

revoke all on function flux.catalogue(text) from public;
