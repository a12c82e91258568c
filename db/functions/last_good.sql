create or replace function flux.last_good(request uuid)
    returns uuid
    language sql
    stable
    set search_path = ''
as $$
    select good.request_id
    from flux.request_record(request) as asked
    cross join lateral flux.request_record(coalesce(asked.replay_of, asked.request_id)) as subject
    join flux.trace_requests as good
        on good.function = subject.function
        and good.route is not distinct from subject.route
        and good.outcome = 'ok'
        and good.kind <> 'replay'
        and good.started_at < subject.started_at
    order by good.started_at desc
    limit 1
$$;

comment on function flux.last_good(uuid) is
    'The last request of the same function and route that went well before this one; null when there is none.';
