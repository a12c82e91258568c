create or replace function flux.first_drawn(
    recorded_table text, column_name text, above bigint, most bigint,
    taken pg_snapshot, moment timestamptz
)
    returns bigint
    language sql
    stable
    set search_path = ''
as $$
    select min(drawn.value)
    from flux.state_mutations as mutation
    cross join lateral (
        select case when mutation.new_values ->> column_name ~ '^\d{1,18}$'
            then (mutation.new_values ->> column_name)::bigint end as value
    ) as drawn
    -- Attempts that were rolled back count too: their numbers are gone.
    where mutation.table_name = recorded_table
        and mutation.operation = 'INSERT'
        and (
            not pg_visible_in_snapshot(mutation.xact_id, taken)
            or mutation.recorded_at > moment
        )
        and drawn.value > above
        and drawn.value <= most
$$;

comment on function flux.first_drawn(text, text, bigint, bigint, pg_snapshot, timestamptz) is
    'The first key that a table''s sequence gave after a snapshot or a moment, between what it held then and where the sequence is now; null when none is recorded.';
