create or replace function flux.suggest_crash(request uuid)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        'unknown',
        case
            when near.crashes = 0 then 'why the process died is not recorded; no other request died within the minute'
            else format('why the process died is not recorded; %s other requests died within the minute', near.crashes)
        end || ': look for the out-of-memory killer or a fault in a native module in the system log',
        near.example,
        coalesce('flux trace ' || left(near.example::text, 8), 'flux errors')
    from flux.trace_requests as subject
    cross join lateral (
        select count(*) as crashes, (array_agg(other.request_id order by other.started_at))[1] as example
        from flux.trace_requests as other
        where other.outcome = 'crashed'
            and other.kind <> 'replay'
            and other.request_id <> request
            and other.started_at between subject.started_at - interval '1 minute' and subject.started_at + interval '1 minute'
    ) as near
    where subject.request_id = request
$$;

comment on function flux.suggest_crash(uuid) is
    'For a request whose process died: which others died with it.';
