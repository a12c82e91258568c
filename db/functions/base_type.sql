create or replace function flux.base_type(given oid)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with recursive based (type, depth) as (
        select given, 0
        union all
        select type.typbasetype, based.depth + 1
        from based
        join pg_type as type on type.oid = based.type
        where type.typtype = 'd'
    )

    -- The modifier -1 tells bpchar and bit from character(1) and bit(1), to which a cast would cut.
    select format_type(based.type, -1)
    from based
    order by based.depth desc
    limit 1
$$;

comment on function flux.base_type(oid) is
    'The name of a type, of a domain that of the type below it, without a length, fit for a cast.';
