create or replace function flux.undo_steps(recorded_table text, taken pg_snapshot, moment timestamptz, soon_after timestamptz)
    returns table (id bigint, row_key jsonb, is_whole boolean, before jsonb)
    language sql
    stable
as $$
    select mutation.id, mutation.row_key, mutation.operation <> 'UPDATE', mutation.old_values
    from flux.mutations_since(recorded_table, taken, moment, soon_after) as mutation
    where mutation.previous_key is null
    union all
    select mutation.id, mutation.row_key, true, null
    from flux.mutations_since(recorded_table, taken, moment, soon_after) as mutation
    where mutation.previous_key is not null
    union all
    select mutation.id, mutation.previous_key, true, mutation.old_values
    from flux.mutations_since(recorded_table, taken, moment, soon_after) as mutation
    where mutation.previous_key is not null
$$;

comment on function flux.undo_steps(text, pg_snapshot, timestamptz, timestamptz) is
    'What takes each key of a table back: the whole row that was there before a write, null for none, or the old values of what it changed.';
