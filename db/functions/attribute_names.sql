create or replace function flux.attribute_names(target oid, numbers int2[])
    returns text[]
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(array_agg(coalesce(attribute.attname::text, '') order by listed.place), '{}')
    from unnest(numbers) with ordinality as listed (number, place)
    left join pg_catalog.pg_attribute as attribute
        on attribute.attrelid = target
        and attribute.attnum = listed.number
$$;

comment on function flux.attribute_names(oid, int2[]) is
    'The names of columns by their numbers, in the order given; empty text for the number 0, which is an expression.';

revoke all on function flux.attribute_names(oid, int2[]) from public;
