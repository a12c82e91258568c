create or replace function flux.suspect_codes(request uuid)
    returns table (
        bad_request_id   uuid,
        bad_at           timestamptz,
        bad_code_sha     text,
        good_request_id  uuid,
        good_at          timestamptz,
        good_code_sha    text
    )
    language sql
    stable
    set search_path = ''
as $$
    with subject as (
        select * from flux.trace_requests as asked where asked.request_id = request order by asked.started_at limit 1
    )

    select bad.request_id, bad.started_at, bad.code_sha, good.request_id, good.started_at, good.code_sha
    from subject
    cross join lateral (
        select same.*
        from flux.trace_requests as same
        where (same.error_signature = subject.error_signature and same.kind <> 'replay')
            or (same.request_id = subject.request_id and same.started_at = subject.started_at)
        order by same.started_at
        limit 1
    ) as bad
    left join lateral (
        select run.*
        from flux.trace_requests as run
        where run.function = subject.function
            and run.route is not distinct from subject.route
            and run.outcome = 'ok'
            and run.kind <> 'replay'
            and run.started_at < bad.started_at
        order by run.started_at desc
        limit 1
    ) as good on true
    where subject.outcome not in ('ok', 'running')
        and (subject.error_signature is not null or subject.outcome <> 'refused')
$$;

comment on function flux.suspect_codes(uuid) is
    'The code in which a request''s error was first recorded, and the code of the last good run before that: what changed between the two is suspect.';
