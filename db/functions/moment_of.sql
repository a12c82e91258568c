create or replace function flux.moment_of(
    at             timestamptz,
    out taken      pg_snapshot,
    out soon_after timestamptz
)
    language sql
    stable
    set search_path = ''
as $$
    select later.snapshot, coalesce(later.started_at + interval '1 minute', 'infinity')
    from (values (true)) as always (is_so)
    left join (
        select request.snapshot, request.started_at
        from flux.trace_requests as request
        where request.started_at >= at
            and request.snapshot is not null
        order by request.started_at
        limit 1
    ) as later on always.is_so
$$;

comment on function flux.moment_of(timestamptz) is
    'The first snapshot that a request took after a time: what it does not show was not committed at that time either.';
