create or replace function flux.suggest_hand_off(request uuid)
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
    -- The last word of each job that it caused: one that failed first and was done later is no trouble.
    select
        'certain',
        format(
            '%s %s, which it %s, %s: %s',
            'job:' || last.job_id, last.function,
            case last.depth when 1 then 'pushed' else 'led to' end,
            coalesce(
                case ended.state when 'dead' then format('is dead after attempt %s', last.attempt) else ended.state end,
                format('failed at attempt %s and will be tried again', last.attempt)
            ),
            last.error
        ),
        last.request_id,
        'flux why ' || left(last.request_id::text, 8)
    from (
        select distinct on (run.job_id) run.*
        from flux.handed_off(request) as run
        where run.request_id is not null
            and run.job_id is not null
        order by run.job_id, run.attempt desc, run.started_at desc
    ) as last
    left join flux.finished_jobs as ended on ended.job_id = last.job_id
    where last.state in ('error', 'timeout', 'crashed', 'refused')
        and ended.state is distinct from 'done'
    order by last.depth, last.job_id
    limit 5
$$;

comment on function flux.suggest_hand_off(uuid) is
    'For a request that handed work on: which of it failed, and the request to ask about.';
