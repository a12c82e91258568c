create or replace function flux.normal_key(target regclass, key jsonb)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
    set timezone = 'UTC'
    set datestyle = 'ISO, MDY'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
as $$
declare
    key_columns text[] := flux.key_columns(target);
    normal      jsonb;
begin
    if key_columns is null then
        raise exception 'table % has no primary key to find a row by', flux.logical_name(target)
            using errcode = 'XF803', hint = 'Ask for the whole table with flux.table_as_of().';
    end if;

    if jsonb_typeof(key) <> 'object'
        or exists (select from unnest(key_columns) as name where key ->> name is null)
        or exists (select from jsonb_object_keys(key) as name where name <> all (key_columns))
    then
        raise exception 'the key of % is (%), not %', flux.logical_name(target), array_to_string(key_columns, ', '), key
            using errcode = 'XF003';
    end if;

    execute format(
        'select %s from (select %s) as given',
        flux.encoded_key(target, 'given'),
        (
            select string_agg(
                format('($1 ->> %L)::%s as %1$I', attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)),
                ', '
            )
            from pg_attribute as attribute
            where attribute.attrelid = target
                and attribute.attname = any (key_columns)
        )
    )
    into normal
    using key;

    return normal;
end
$$;

comment on function flux.normal_key(regclass, jsonb) is
    'A key as mutations keep it, whichever way its values are written: {"id": "042"} becomes {"id": 42}.';
