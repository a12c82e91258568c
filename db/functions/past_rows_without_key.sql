create or replace function flux.past_rows_without_key(
    root regclass, taken pg_snapshot, moment timestamptz, soon_after timestamptz
)
    returns setof jsonb
    language sql
    stable
    set search_path = ''
    set jit = off
as $$
    -- Rows that nothing tells apart can only be counted; as text, because to jsonb 1.10 equals 1.1.
    with counted as (
        select present.content::text as content, 1 as number
        from flux.present_rows(root) as present
        union all
        select mutation.old_values::text, 1
        from flux.mutations_since(flux.logical_name(root), taken, moment, soon_after) as mutation
        where mutation.old_values is not null
        union all
        select mutation.new_values::text, -1
        from flux.mutations_since(flux.logical_name(root), taken, moment, soon_after) as mutation
        where mutation.new_values is not null
    )

    select content::jsonb
    from (
        select content, sum(number) as number
        from counted
        group by content
    ) as remaining, generate_series(1, remaining.number)
$$;

comment on function flux.past_rows_without_key(regclass, pg_snapshot, timestamptz, timestamptz) is
    'The past of a table without a key: present rows, plus what was removed since, less what was added since.';
