create or replace function flux.present_row(target text, row_key jsonb)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
    set timezone = 'UTC'
    set datestyle = 'ISO'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
    set lc_monetary = 'C'
as $$
declare
    found jsonb;
begin
    if to_regclass(target) is null then
        return null;
    end if;

    execute format(
        'select %s from %s %s as present where %s',
        flux.encoded_row(to_regclass(target), 'present'),
        -- Rows of tables that inherit from this one are theirs; those of partitions are its own.
        case when (select relkind from pg_class where oid = to_regclass(target)) = 'p' then '' else 'only' end,
        to_regclass(target),
        (
            select string_agg(format(
                'present.%I = cast($1 ->> %L as %s)',
                attribute.attname, attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)
            ), ' and ')
            from unnest(flux.key_columns(to_regclass(target))) as name
            join pg_attribute as attribute
                on attribute.attrelid = to_regclass(target)
                and attribute.attname = name
        )
    )
    into found
    using row_key;

    return coalesce(found, '{}');
exception
    when insufficient_privilege then
        return null;
end
$$;

comment on function flux.present_row(text, jsonb) is
    'A row as it is now, encoded as it would be recorded; empty when there is none, null when this role may not look.';
