create or replace function flux.transactions_since(
    taken pg_snapshot,
    moment timestamptz,
    until timestamptz
)
    returns table (
        xact_id      text,
        request_id   uuid,
        actor        text,
        began_at     timestamptz,
        recorded_at  timestamptz,
        last_id      bigint,
        writes       bigint,
        tables       text[]
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        mutation.xact_id::text,
        min(mutation.request_id::text)::uuid,
        min(mutation.actor),
        min(mutation.recorded_at),
        max(mutation.recorded_at),
        max(mutation.id),
        count(*),
        array_agg(distinct mutation.table_name::text)
    from flux.state_mutations as mutation
    where not mutation.rolled_back
        -- A minute more on either side tells when a transaction that wrote around the end was done, and forgives clocks.
        and mutation.recorded_at <= until + interval '1 minute'
        and mutation.recorded_at >= moment - case
            when pg_snapshot_xmin(taken) = pg_snapshot_xmax(taken) then interval '1 minute'
            else interval '1 day'
        end
        and (
            taken is not null and not pg_visible_in_snapshot(mutation.xact_id, taken)
            or taken is null and mutation.recorded_at > moment
        )
    group by mutation.xact_id
    having max(mutation.recorded_at) <= until
    order by max(mutation.recorded_at), max(mutation.id)
$$;

comment on function flux.transactions_since(pg_snapshot, timestamptz, timestamptz) is
    'The committed transactions that a snapshot taken at a moment does not show (without a snapshot: that wrote after the moment) and that wrote last before another moment, each with what it wrote, in that order.';
