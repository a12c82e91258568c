create or replace function flux.catalogue_columns(target oid, reader text)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'name', attribute.attname,
                'type', flux.base_type(attribute.atttypid),
                'nullable', not attribute.attnotnull,
                'has_default', attribute.atthasdef or attribute.attidentity <> '',
                'generated', case
                    when attribute.attgenerated = 's' then 'stored'
                    when attribute.attgenerated <> '' then 'virtual'
                    when attribute.attidentity = 'a' then 'always'
                    else ''
                end,
                'choices', (
                    select jsonb_agg(label.enumlabel order by label.enumsortorder)
                    from pg_catalog.pg_enum as label
                    where label.enumtypid = to_regtype(flux.base_type(attribute.atttypid))
                ),
                'readable', reader is null
                    or coalesce(has_column_privilege(reader, read_from.attrelid, read_from.attnum, 'select'), false),
                'writable', array(
                    select privilege.name
                    from unnest(array['insert', 'update']) as privilege (name)
                    where reader is null
                        or has_column_privilege(reader, target, attribute.attnum, privilege.name)
                ),
                'masked', read_from.attrelid <> target
                    and not pg_catalog.pg_column_is_updatable(read_from.attrelid, read_from.attnum, true)
            )
            order by attribute.attnum
        ),
        '[]'
    )
    from pg_catalog.pg_attribute as attribute
    join pg_catalog.pg_class as class on class.oid = attribute.attrelid
    -- A role with masks reads a view of the table's name in the schema of its own.
    left join pg_catalog.pg_attribute as read_from
        on read_from.attrelid = coalesce(
            to_regclass(case when reader is not null then format('%I.%I', reader, class.relname) end)::oid, target
        )
        and read_from.attname = attribute.attname
    where attribute.attrelid = target
        and attribute.attnum > 0
        and not attribute.attisdropped
$$;

comment on function flux.catalogue_columns(oid, text) is
    'The columns of a table in order, a domain as its base type, and what the role may do with each; everything when it is null.';

revoke all on function flux.catalogue_columns(oid, text) from public;
