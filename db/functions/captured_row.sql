create or replace function flux.captured_row(relation regclass, source anyelement)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    patterns text[] := flux.setting_names('redact');
    path     text[] := parse_ident(flux.logical_name(relation));
    names    text[];
    types    oid[];
    members  text;
    captured jsonb := '{}';
begin
    if num_nulls(source) = 1 then
        return null;
    end if;

    -- Names come from the row: the catalog, read with a transaction's old snapshot, may not have a new column yet.
    names := array(select json_object_keys(replace(row_to_json(source)::text, '\u0000', '')::json));

    execute format(
        'select array[%s]::oid[]',
        (select string_agg(format('pg_typeof(($1).%I)', name), ', ' order by place)
         from unnest(names) with ordinality as listed (name, place))
    )
    into types
    using source;

    for members in
        select string_agg(
            format('%L, %s', name, flux.encoded_value(format('($1).%I', name), type, path || name, patterns)), ', '
        )
        from unnest(names, types) with ordinality as listed (name, type, place)
        group by (place - 1) / 50
    loop
        execute format('select $2 || jsonb_build_object(%s)', members) into captured using source, captured;
    end loop;

    return captured;
end
$$;

comment on function flux.captured_row(regclass, anyelement) is
    'A row as a mutation keeps it, whatever its shape; null for no row.';
