create or replace function flux.hand_back_jobs(requests uuid[], jobs_of bigint[])
    returns bigint
    language sql
    volatile
    set search_path = ''
as $$
    with given as (
        select job_id, request_id
        from unnest(jobs_of, requests) as pair (job_id, request_id)
    ),

    returned as (
        update flux.jobs set
            attempt = jobs.attempt - 1,
            request_id = null,
            worker = null,
            lease_until = null,
            claimed_at = null
        from given
        where jobs.job_id = given.job_id
            and jobs.request_id = given.request_id
        returning jobs.job_id
    )

    select count(*) from returned
$$;

comment on function flux.hand_back_jobs(uuid[], bigint[]) is
    'Gives back jobs that were claimed and not begun, as if they never had been claimed; how many.';

revoke all on function flux.hand_back_jobs(uuid[], bigint[]) from public;
