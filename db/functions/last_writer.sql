create or replace function flux.last_writer(target text, row_key jsonb, before uuid)
    returns table (
        request_id   uuid,
        span_id      integer,
        recorded_at  timestamptz,
        actor        text,
        operation    text
    )
    language sql
    stable
    set search_path = ''
as $$
    with written as materialized (
        select mutation.*
        from flux.row_mutations(target, last_writer.row_key) as mutation
    )

    select other.request_id, other.span_id, other.recorded_at, other.actor, other.operation
    from written as other
    cross join flux.request_record(before) as asked
    where not other.rolled_back
        and other.request_id is distinct from before
        and other.id < coalesce((select min(own.id) from written as own where own.request_id = before), 9223372036854775807)
        and other.recorded_at <= asked.started_at + coalesce(asked.duration_us, 0) * interval '1 microsecond'
    order by other.id desc
    limit 1
$$;

comment on function flux.last_writer(text, jsonb, uuid) is
    'Who wrote a row last before a request did, or before that request ended where it did not write it; no rows when no write is known.';
