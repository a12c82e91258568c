create or replace function flux.delete_query(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format(
        'delete from %s%s as present using (select %s from jsonb_array_elements(%%s) as asked (row_key)) as touch where %s',
        case when (select relkind from pg_class where oid = target) = 'p' then '' else 'only ' end,
        target,
        string_agg(
            format('(asked.row_key ->> %s)::%s as key_%s', replace(quote_literal(name), '%', '%%'), type_name, place),
            ', ' order by place
        ),
        string_agg(
            format('present.%s %s touch.key_%s', replace(quote_ident(name), '%', '%%'), operator, place),
            ' and ' order by place
        )
    )
    from flux.past_keys(target)
$$;

comment on function flux.delete_query(regclass) is
    'SQL that deletes the rows of a table whose keys are in a JSON array, with a %s for the array as psycopg takes it.';
