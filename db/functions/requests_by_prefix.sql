create or replace function flux.requests_by_prefix(given text)
    returns table (
        request_id  uuid,
        started_at  timestamptz,
        method      text,
        path        text,
        function    text,
        status      integer,
        outcome     text
    )
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    digits constant text := replace(regexp_replace(lower(btrim(given)), '^req:', ''), '-', '');
begin
    if digits !~ '^[0-9a-f]{4,32}$' then
        raise exception '"%" is not a request id', given using
            errcode = 'XF003',
            hint = 'Give 4 or more hex digits of it, with or without req:, as `flux trace` lists them; or a job as job:1234.';
    end if;

    return query
    select found.request_id, found.started_at, found.method, found.path, found.function, found.status, found.outcome
    from flux.trace_requests as found
    where found.request_id between rpad(digits, 32, '0')::uuid and rpad(digits, 32, 'f')::uuid
    order by found.started_at desc
    limit 20;
end
$$;

comment on function flux.requests_by_prefix(text) is
    'The requests whose id begins with these hex digits, newest first, at most 20.';
