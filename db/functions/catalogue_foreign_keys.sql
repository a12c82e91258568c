create or replace function flux.catalogue_foreign_keys(target oid)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'name', key.conname,
                'columns', flux.attribute_names(key.conrelid, key.conkey),
                'target', format('%I.%I', namespace.nspname, class.relname),
                'target_columns', flux.attribute_names(key.confrelid, key.confkey)
            )
            order by key.conname
        ),
        '[]'
    )
    from pg_catalog.pg_constraint as key
    join pg_catalog.pg_class as class on class.oid = key.confrelid
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where key.conrelid = target
        and key.contype = 'f'
        -- A partition of the other table has a constraint of its own below that of the whole.
        and key.conparentid = 0
$$;

comment on function flux.catalogue_foreign_keys(oid) is
    'The foreign keys of a table: its columns, the other table and the columns there.';

revoke all on function flux.catalogue_foreign_keys(oid) from public;
