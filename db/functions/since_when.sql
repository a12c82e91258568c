create or replace function flux.since_when(request uuid)
    returns table (
        times              bigint,
        first_seen         timestamptz,
        first_request_id   uuid,
        first_code_sha     text,
        last_seen          timestamptz,
        last_request_id    uuid,
        good_request_id    uuid,
        good_at            timestamptz,
        good_code_sha      text,
        good_again_id      uuid,
        good_again_at      timestamptz,
        good_again_sha     text,
        runs_before        bigint,
        failures_before    bigint,
        input_differences  text
    )
    language sql
    stable
    set search_path = ''
as $$
    with subject as (
        select * from flux.trace_requests as asked where asked.request_id = request order by asked.started_at limit 1
    ),

    alike as (
        select same.request_id, same.started_at, same.code_sha
        from flux.trace_requests as same
        join subject on subject.error_signature = same.error_signature
        where same.kind <> 'replay'
    )

    select
        (select count(*) from alike),
        earliest.started_at, earliest.request_id, earliest.code_sha,
        latest.started_at, latest.request_id,
        good.request_id, good.started_at, good.code_sha,
        again.request_id, again.started_at, again.code_sha,
        before.runs, before.failures,
        flux.differences_text(good.input, subject.input)
    from subject
    left join lateral (select * from alike order by alike.started_at limit 1) as earliest on true
    left join lateral (select * from alike order by alike.started_at desc limit 1) as latest on true
    left join lateral (
        select run.*
        from flux.trace_requests as run
        where run.function = subject.function
            and run.route is not distinct from subject.route
            and run.outcome = 'ok'
            and run.kind <> 'replay'
            and run.started_at < subject.started_at
        order by run.started_at desc
        limit 1
    ) as good on true
    left join lateral (
        select run.*
        from flux.trace_requests as run
        where run.function = subject.function
            and run.route is not distinct from subject.route
            and run.outcome = 'ok'
            and run.kind <> 'replay'
            and run.started_at > subject.started_at
        order by run.started_at
        limit 1
    ) as again on true
    cross join lateral (
        select count(*) as runs, count(*) filter (where recent.outcome not in ('ok', 'refused')) as failures
        from (
            select run.outcome
            from flux.trace_requests as run
            where run.function = subject.function
                and run.kind <> 'replay'
                and run.started_at < subject.started_at
            order by run.started_at desc
            limit 100
        ) as recent
    ) as before
$$;

comment on function flux.since_when(uuid) is
    'How long a request''s error has been there: how often, first and last, the last good run before it and the first after, and what differs in their input; replays do not count.';
