create or replace function flux.parse_key(target text, given text)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    names constant text[] := flux.key_names(target);
    usual constant text := (select '--id ' || string_agg(name || '=…', ',') from unnest(names) as name);
    row_key jsonb := '{}';
    part record;
begin
    if cardinality(names) = 0 then
        raise exception '% has no primary key, so its rows cannot be named', target using
            errcode = 'XF003',
            hint = format('Its changes are kept as whole rows: select * from flux.mutations where table_name = %L.', target);
    end if;

    for part in
        select name, value.given
        from unnest(names) as name
        left join flux.split_key(names, parse_key.given) as value using (name)
    loop
        if part.given is null then
            raise exception '% is named by (%), and "%" does not say %', target,
                array_to_string(names, ', '), given, part.name using
                errcode = 'XF003',
                hint = format('Write %s.', usual);
        end if;

        row_key := row_key || jsonb_build_object(part.name, flux.key_value(target, part.name, part.given));
    end loop;

    return row_key;
exception
    when data_exception then
        raise exception '% cannot have the key "%": %', target, given, sqlerrm using
            errcode = 'XF003',
            hint = format('Write %s.', usual);
end
$$;

comment on function flux.parse_key(text, text) is
    'The row key that people mean by 42, id=42 or a=1,b=2, as it is recorded.';
