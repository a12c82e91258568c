create or replace function flux.add_dead_job(kind text, function text, input jsonb, depth integer, error text)
    returns bigint
    language sql
    volatile
    set search_path = ''
as $$
    insert into flux.finished_jobs (
        job_id, state, kind, queue, function, input, priority, run_at, attempt, max_attempts, depth,
        parent_request_id, parent_span_id, trace_id, created_at, error
    )
    select
        nextval(pg_get_serial_sequence('flux.jobs', 'job_id')), 'dead', kind, coalesce(defaults.queue, 'default'),
        add_dead_job.function, input, 0, now(), 0,
        coalesce(defaults.max_attempts, flux.setting_number('max_attempts', 10)::integer), depth,
        flux.current_request_id(), flux.current_span_id(), flux.current_trace_id(), now(), error
    from (values (1)) as one
    left join flux.job_defaults as defaults on defaults.function = add_dead_job.function
    returning job_id
$$;

comment on function flux.add_dead_job(text, text, jsonb, integer, text) is
    'Notes a job that may not run, with the reason: it stands among the dead, from where it can be brought back by hand.';

revoke all on function flux.add_dead_job(text, text, jsonb, integer, text) from public;
