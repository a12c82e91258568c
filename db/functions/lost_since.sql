create or replace function flux.lost_since(
    tables text[], taken pg_snapshot, moment timestamptz, soon_after timestamptz
)
    returns setof text
    language sql
    stable
    set search_path = ''
as $$
    select named.table_name
    from unnest(tables) as named (table_name)
    where exists (
        select
        from flux.mutations_since(named.table_name, taken, moment, soon_after) as mutation
        where mutation.operation = 'TRUNCATE'
            and mutation.old_values is null
    )
$$;

comment on function flux.lost_since(text[], pg_snapshot, timestamptz, timestamptz) is
    'Tables that were truncated since a snapshot or a moment in a way that could not be recorded: their past is lost.';
