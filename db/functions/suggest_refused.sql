create or replace function flux.suggest_refused(request uuid)
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
        case when subject.status = 404 and not answered.itself and near.listing is null then 'unknown' else 'certain' end,
        case
            when answered.itself then format(
                '%s answered %s itself, at %s', subject.function, subject.status, subject.error_location
            )
            when subject.status = 404 then coalesce('routes that were served: ' || near.listing, 'no request ever matched a route')
            when subject.status = 405 then format('the path is served, but not for %s: %s', subject.method, near.listing)
            when subject.status = 413 then 'the body is larger than [gateway] body_limit in flux.toml'
            when subject.status = 415 then 'send JSON with content-type: application/json, or a form'
            when subject.status in (400, 422) then 'the input did not fit the function''s type hints; its code did not run'
            else 'it was refused before its function ran'
        end,
        null::uuid,
        null
    from flux.trace_requests as subject
    cross join lateral (
        select string_agg(served.listing, ', ') as listing
        from (
            select concat_ws(' ', other.method, other.route) as listing
            from flux.trace_requests as other
            where other.route is not null
                and other.kind <> 'replay'
                and other.started_at > subject.started_at - interval '1 day'
                and (subject.status <> 405 or other.path = subject.path)
            group by other.method, other.route
            order by count(*) desc
            limit 5
        ) as served
    ) as near
    cross join lateral (
        select subject.function is not null and subject.error_location is not null as itself
    ) as answered
    where subject.request_id = request
$$;

comment on function flux.suggest_refused(uuid) is
    'For a refused request: what would not have been refused.';
