create or replace function flux.cancel_job(job bigint)
    returns boolean
    language sql
    volatile
    set search_path = ''
as $$
    select flux.end_job(job, 'cancelled', 'cancelled by hand')
$$;

comment on function flux.cancel_job(bigint) is
    'Takes a job out of the queue; what a running one writes is not committed. False when it is not there.';

revoke all on function flux.cancel_job(bigint) from public;
