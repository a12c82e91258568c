create or replace function flux.differences_text(before jsonb, after jsonb)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select string_agg(
        format(
            '%s: %s → %s', names.name,
            coalesce(flux.value_text(before -> names.name), 'not given'),
            coalesce(flux.value_text(after -> names.name), 'not given')
        ),
        ', ' order by names.name
    )
    from (
        select jsonb_object_keys(case when jsonb_typeof(before) = 'object' then before end)
        union
        select jsonb_object_keys(case when jsonb_typeof(after) = 'object' then after end)
    ) as names (name)
    where before -> names.name is distinct from after -> names.name
$$;

comment on function flux.differences_text(jsonb, jsonb) is
    'The members in which two objects differ, as name: before → after; null when they do not.';
