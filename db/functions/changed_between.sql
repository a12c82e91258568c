create or replace function flux.changed_between(
    tables text[],
    one_taken pg_snapshot, one_moment timestamptz, one_soon_after timestamptz,
    other_taken pg_snapshot, other_moment timestamptz, other_soon_after timestamptz
)
    returns table (
        table_name    text,
        row_key       jsonb,
        previous_key  jsonb
    )
    language sql
    stable
    set search_path = ''
as $$
    with touches as (
        select mutation.id, mutation.table_name, mutation.row_key, mutation.previous_key
        from unnest(tables) as named (name)
        cross join lateral flux.mutations_since(named.name, one_taken, one_moment, one_soon_after) as mutation
        union all
        select mutation.id, mutation.table_name, mutation.row_key, mutation.previous_key
        from unnest(tables) as named (name)
        cross join lateral flux.mutations_since(named.name, other_taken, other_moment, other_soon_after) as mutation
    )

    -- A mutation that is to be undone for both is the same for both.
    select distinct once.table_name, once.row_key, once.previous_key
    from (
        select min(touches.table_name) as table_name, touches.id, touches.row_key, touches.previous_key
        from touches
        group by touches.id, touches.row_key, touches.previous_key
        having count(*) = 1
    ) as once
$$;

comment on function flux.changed_between(text[], pg_snapshot, timestamptz, timestamptz, pg_snapshot, timestamptz, timestamptz) is
    'The keys of rows that differ, or may, between two moments.';
