create or replace function flux.key_value(target text, column_name text, given text)
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
    key_column record;
    encoded jsonb;
begin
    select stored.type, stored.path, format_type(attribute.atttypid, attribute.atttypmod) as type_name
    into key_column
    from flux.stored_columns(to_regclass(target)) as stored
    join pg_attribute as attribute
        on attribute.attrelid = to_regclass(target)
        and attribute.attname = stored.name
    where stored.name = column_name;

    if not found then  -- the type is gone with its table: a number where it looks like one
        return case when given ~ '^-?(0|[1-9]\d*)(\.\d+)?$' then given::jsonb else to_jsonb(given) end;
    end if;

    execute format(
        'select to_jsonb(%s) from (select cast($1 as %s) as value) as given',
        flux.encoded_value('given.value', key_column.type, key_column.path, '{}'), key_column.type_name
    )
    into encoded
    using given;

    return encoded;
end
$$;

comment on function flux.key_value(text, text, text) is
    'One part of a key as the recorder writes it, from the text people give; cast to the column''s type, with the recorder''s settings.';
