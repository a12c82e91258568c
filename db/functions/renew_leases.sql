create or replace function flux.renew_leases(requests uuid[], jobs_of bigint[], lease interval)
    returns setof uuid
    language sql
    volatile
    set search_path = ''
as $$
    with given as (
        select job_id, request_id
        from unnest(jobs_of, requests) as pair (job_id, request_id)
    )

    update flux.jobs set lease_until = clock_timestamp() + lease
    from given
    where jobs.job_id = given.job_id
        and jobs.request_id = given.request_id
    returning jobs.request_id
$$;

comment on function flux.renew_leases(uuid[], bigint[], interval) is
    'Keeps what a worker has in hand its own for another lease; gives those that still are.';

revoke all on function flux.renew_leases(uuid[], bigint[], interval) from public;
