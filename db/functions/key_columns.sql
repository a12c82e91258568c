create or replace function flux.key_columns(target regclass)
    returns text[]
    language sql
    stable
    set search_path = ''
as $$
    select array_agg(attribute.attname::text order by array_position(key.indkey::int2[], attribute.attnum))
    from pg_index as key
    join pg_attribute as attribute
        on attribute.attrelid = key.indrelid
        and attribute.attnum = any (key.indkey)
    where key.indrelid = coalesce(pg_partition_root(target), target)
        and key.indisprimary
    -- A hidden column cannot name rows: the table is then recorded as one without a key.
    having not bool_or(
        flux.is_hidden(parse_ident(flux.logical_name(target)) || attribute.attname::text, flux.setting_names('redact'))
    )
$$;

comment on function flux.key_columns(regclass) is
    'Columns of the primary key in its order; null when there is none, or when one of them is redacted.';
