create or replace function flux.take_up(job flux.jobs, lost_request uuid, lost_at timestamptz)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    message text := 'the worker of this attempt was lost: it did not renew its lease';
begin
    perform flux.record_lost_attempt(job, lost_request, lost_at, message);

    if job.attempt > job.max_attempts then
        perform flux.end_job(job.job_id, 'dead', message, lost_request);
        return false;
    end if;

    update flux.jobs set error = message, error_request_id = lost_request where jobs.job_id = job.job_id;
    return true;
end
$$;

comment on function flux.take_up(flux.jobs, uuid, timestamptz) is
    'Closes the attempt of a worker that was lost, after its job was claimed anew; false when that was its last, and the job is dead.';

revoke all on function flux.take_up(flux.jobs, uuid, timestamptz) from public;
