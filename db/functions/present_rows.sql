create or replace function flux.present_rows(target regclass, key jsonb default null)
    returns table (row_key jsonb, content jsonb)
    language plpgsql
    stable
    set search_path = ''
    set jit = off
    set timezone = 'UTC'
    set datestyle = 'ISO, MDY'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
    set lc_monetary = 'C'
as $$
begin
    return query execute format(
        'select %s, %s from %s %s as present where %s',
        flux.encoded_key(target, 'present'),
        flux.encoded_row(target, 'present'),
        -- Rows of tables that inherit from this one are theirs; those of partitions are its own.
        case when (select relkind from pg_class where oid = target) = 'p' then '' else 'only' end,
        target,
        case
            when key is null then 'true'
            else (
                select string_agg(
                    format(
                        'present.%I = ($1 ->> %1$L)::%s',
                        attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)
                    ),
                    ' and '
                )
                from pg_attribute as attribute
                where attribute.attrelid = target
                    and attribute.attname = any (flux.key_columns(target))
            )
        end
    )
    using key;
end
$$;

comment on function flux.present_rows(regclass, jsonb) is
    'Rows as they are now, in the form that mutations keep them: all of a table, or the one with a key.';
