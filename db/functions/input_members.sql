create or replace function flux.input_members(input jsonb)
    returns table (
        path   text,
        value  jsonb
    )
    language sql
    immutable
    set search_path = ''
as $$
    with recursive member (path, value) as (
        select part.key, part.value
        from jsonb_each(case when jsonb_typeof(input) = 'object' then input end) as part

        union all

        select member.path || coalesce('.' || inner_part.key, ''), inner_part.value
        from member
        cross join lateral (
            select part.key, part.value
            from jsonb_each(case when jsonb_typeof(member.value) = 'object' then member.value end) as part
            union all
            select (element.position - 1)::text, element.value
            from jsonb_array_elements(case when jsonb_typeof(member.value) = 'array' then member.value end)
                with ordinality as element (value, position)
        ) as inner_part
    )

    select member.path, member.value
    from member
$$;

comment on function flux.input_members(jsonb) is
    'Every value inside an input with its path: address.zip, items.0.sku.';
