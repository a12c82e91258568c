create or replace function flux.finish_job(job bigint, attempt integer, request uuid)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    perform
    from flux.jobs as held
    where held.job_id = job
        and held.attempt = finish_job.attempt
        and held.request_id = request
    for update;

    if not found then
        raise exception 'job:% is no longer this worker''s: its lease ran out, or it was cancelled', job
            using errcode = 'XF502';
    end if;

    perform flux.end_job(job, 'done');
end
$$;

comment on function flux.finish_job(bigint, integer, uuid) is
    'Completes a job in the transaction of its work; raises XF502 when the attempt is not the present one, so that nothing of a lost attempt stays.';

revoke all on function flux.finish_job(bigint, integer, uuid) from public;
