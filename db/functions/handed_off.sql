create or replace function flux.handed_off(request uuid, most integer default 200)
    returns table (
        depth              integer,
        parent_request_id  uuid,
        parent_span_id     integer,
        job_id             bigint,
        kind               text,
        function           text,
        state              text,
        request_id         uuid,
        attempt            integer,
        pushed_at          timestamptz,
        started_at         timestamptz,
        waited_us          bigint,
        duration_us        bigint,
        error              text
    )
    language sql
    stable
    set search_path = ''
as $$
    -- Attempts that were recorded, and jobs that have none yet or wait for their next one.
    with recursive tree as (
        select 0 as depth, asked.request_id, asked.started_at, asked.duration_us
        from flux.request_record(request) as asked

        union all

        select
            tree.depth + 1,
            child.request_id,
            child.started_at,
            child.duration_us
        from tree
        join flux.trace_requests as child
            on child.parent_request_id = tree.request_id
            and child.replay_of is null
        where tree.depth < 20
    ),

    run as (
        select
            tree.depth,
            child.parent_request_id,
            child.parent_span_id,
            (child.attributes -> 'job' ->> 'id')::bigint as job_id,
            child.kind,
            child.function,
            child.outcome as state,
            child.request_id,
            child.attempt,
            (child.attributes -> 'job' ->> 'pushed_at')::timestamptz as pushed_at,
            child.started_at,
            greatest(
                0,
                extract(
                    epoch from child.started_at - greatest(
                        (child.attributes -> 'job' ->> 'run_at')::timestamptz,
                        parent.started_at + parent.duration_us * interval '1 microsecond'
                    )
                ) * 1000000
            )::bigint as waited_us,
            child.duration_us,
            concat_ws(': ', regexp_replace(child.error_type, '^.*\.', ''), child.error_message) as error
        from tree
        join flux.trace_requests as child on child.request_id = tree.request_id and child.started_at = tree.started_at
        join tree as parent on parent.request_id = child.parent_request_id
        where tree.depth > 0
    ),

    waiting as (
        select
            tree.depth + 1,
            job.parent_request_id,
            job.parent_span_id,
            job.job_id,
            line.kind,
            line.function,
            line.state,
            null::uuid,
            job.attempt + 1,
            job.created_at,
            job.run_at,
            null::bigint,
            null::bigint,
            null::text
        from tree
        join flux.jobs as job on job.parent_request_id = tree.request_id
        join flux.queue as line on line.job_id = job.job_id
        where line.state <> 'running'
            or not exists (select from flux.trace_requests as begun where begun.request_id = job.request_id)
    )

    select found.*
    from (select * from run union all select * from waiting) as found
    order by found.depth, found.parent_span_id, found.pushed_at, found.job_id, found.started_at
    limit most
$$;

comment on function flux.handed_off(uuid, integer) is
    'What a request handed on, and that in turn: each attempt with how long it waited for a worker after it was due, and jobs still to run.';
