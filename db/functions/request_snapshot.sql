create or replace function flux.request_snapshot(request uuid)
    returns pg_snapshot
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    taken pg_snapshot;
begin
    select recorded.snapshot
    into taken
    from flux.trace_requests as recorded
    where recorded.request_id = request
    order by recorded.started_at
    limit 1;

    if not found then
        raise exception 'no request % is recorded', request using errcode = 'XF801';
    end if;

    if taken is null then
        raise exception 'request % ran no SQL, so what it saw is not recorded', request
            using errcode = 'XF803', hint = 'Ask for a time instead, such as that of the request.';
    end if;

    return taken;
end
$$;

comment on function flux.request_snapshot(uuid) is
    'What the first statement of a request could see; raises XF801 for an unknown request, XF803 for one without SQL.';
