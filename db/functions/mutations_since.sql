create or replace function flux.mutations_since(recorded_table text, taken pg_snapshot, moment timestamptz, soon_after timestamptz)
    returns setof flux.state_mutations
    language sql
    stable
as $$
    select mutation.*
    from flux.state_mutations as mutation
    where mutation.table_name = recorded_table
        and not mutation.rolled_back
        and (
            mutation.recorded_at > moment
            or not pg_catalog.pg_visible_in_snapshot(mutation.xact_id, taken)
            -- A transaction that went on writing after the moment was not committed then.
            or mutation.xact_id in (
                select later.xact_id
                from flux.state_mutations as later
                where later.recorded_at > moment
                    and later.recorded_at <= soon_after
            )
        )
$$;

comment on function flux.mutations_since(text, pg_snapshot, timestamptz, timestamptz) is
    'Mutations of a table that a snapshot does not show, or that were not committed at a moment; soon_after is when that snapshot had surely been taken.';
