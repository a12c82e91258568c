create or replace function flux.present_key(target text, wanted jsonb)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
    set timezone = 'UTC'
    set datestyle = 'ISO'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
as $$
declare
    found jsonb;
begin
    if flux.key_columns(to_regclass(target)) is null then
        return null;
    end if;

    execute format(
        'select %s from %s as present where %s limit 1',
        flux.encoded_row(to_regclass(target), 'present', flux.key_columns(to_regclass(target))),
        to_regclass(target),
        (
            select string_agg(format(
                'present.%I = cast($1 ->> %L as %s)',
                attribute.attname, attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)
            ), ' and ')
            from jsonb_object_keys(wanted) as name
            join pg_attribute as attribute
                on attribute.attrelid = to_regclass(target)
                and attribute.attname = name
        )
    )
    into found
    using wanted;

    return found;
exception
    when insufficient_privilege or data_exception or syntax_error or undefined_function then
        return null;
end
$$;

comment on function flux.present_key(text, jsonb) is
    'The key of the row that has these values now; null when there is none, or when it cannot be looked for.';
