create or replace function flux.bury_worker(gone text, begun uuid[], done uuid[])
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    job   flux.jobs;
    count bigint := 0;
begin
    for job in
        select * from flux.jobs as held where split_part(held.worker, '@', 1) = gone for update
    loop
        count := count + 1;
        case
            when job.request_id = any (done) then
                perform flux.end_job(job.job_id, 'done');
            when job.request_id = any (begun) then
                perform flux.fail_job(
                    job.job_id, job.attempt, job.request_id, 'the worker process died while this job ran'
                );
            else
                perform flux.hand_back_jobs(array[job.request_id], array[job.job_id]);
        end case;
    end loop;

    return count;
end
$$;

comment on function flux.bury_worker(text, uuid[], uuid[]) is
    'Settles the jobs of a worker process that died and left its in-flight table of this name: those done are done, those begun are tried again, the others were not begun. How many.';

revoke all on function flux.bury_worker(text, uuid[], uuid[]) from public;
