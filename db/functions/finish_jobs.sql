create or replace function flux.finish_jobs(requests jsonb, spans jsonb)
    returns setof uuid
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    return query
    with given as materialized (
        select
            (line.request ->> 'job_id')::bigint as job_id,
            (line.request ->> 'request_id')::uuid as request_id,
            line.request,
            steps.spans
        from jsonb_array_elements(requests) with ordinality as line (request, place)
        join jsonb_array_elements(spans) with ordinality as steps (spans, place) using (place)
    ),

    ended as (
        delete from flux.jobs
        using given
        where jobs.job_id = given.job_id
            and jobs.request_id = given.request_id
        returning jobs.*
    ),

    moved as (
        insert into flux.finished_jobs (
            job_id, state, kind, queue, function, priority, run_at, attempt, max_attempts, key, ordering_key, depth,
            parent_request_id, parent_span_id, trace_id, created_at, request_id, claimed_at, error, error_request_id
        )
        select
            job_id, 'done', kind, queue, function, priority, run_at, attempt, max_attempts, key, ordering_key, depth,
            parent_request_id, parent_span_id, trace_id, created_at, request_id, claimed_at, error, error_request_id
        from ended
    ),

    recorded as (
        -- In the from clause, so that it is called once a row and not once a column.
        insert into flux.trace_requests
        select line.*
        from given
        left join ended on given.job_id = ended.job_id
        cross join jsonb_populate_record(
            null::flux.trace_requests,
            case when ended.job_id is null then given.request || flux.lost_lease(given.job_id) else given.request end
        ) as line
    ),

    stepped as (
        insert into flux.execution_spans
        select
            given.request_id, step.span_id, step.parent_id, step.kind, step.name, step.started_at, step.duration_us,
            step.input, step.output, step.error, step.attributes
        from given
        cross join jsonb_populate_recordset(null::flux.execution_spans, given.spans) as step
    )

    select given.request_id
    from given
    where not exists (select from ended where ended.job_id = given.job_id);
end
$$;

comment on function flux.finish_jobs(jsonb, jsonb) is
    'Completes jobs whose functions ran no SQL, with their records: arrays of requests and of their spans. Gives the requests whose lease was lost; their records say so.';

revoke all on function flux.finish_jobs(jsonb, jsonb) from public;
