create or replace function flux.catalogue_indexes(target oid)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'name', class.relname,
                'columns', flux.attribute_names(target, (index.indkey::int2[])[0 : index.indnkeyatts - 1]),
                'unique', index.indisunique and index.indimmediate,
                'partial', index.indpred is not null,
                'method', method.amname
            )
            order by class.relname
        ),
        '[]'
    )
    from pg_catalog.pg_index as index
    join pg_catalog.pg_class as class on class.oid = index.indexrelid
    join pg_catalog.pg_am as method on method.oid = class.relam
    where index.indrelid = target
        and index.indisvalid
$$;

comment on function flux.catalogue_indexes(oid) is
    'The valid indexes of a table with the columns they look up, without those that are only included; unique ones that may be deferred count as others.';

revoke all on function flux.catalogue_indexes(oid) from public;
