create or replace function flux.job_attributes(job flux.jobs)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select jsonb_build_object(
        'job', jsonb_build_object(
            'id', job.job_id,
            'queue', job.queue,
            'pushed_at', job.created_at,
            'run_at', job.run_at,
            'max_attempts', job.max_attempts
        )
    )
$$;

comment on function flux.job_attributes(flux.jobs) is
    'What the record of an attempt says of its job, as member "job" of the request''s attributes.';
