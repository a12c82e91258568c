create or replace function flux.request_of_job(job bigint)
    returns uuid
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    latest uuid;
begin
    select request.request_id into latest
    from (
        select line.request_id, line.error_request_id from flux.jobs as line where line.job_id = job
        union all
        select ended.request_id, ended.error_request_id from flux.finished_jobs as ended where ended.job_id = job
    ) as attempts
    join flux.trace_requests as request on request.request_id in (attempts.request_id, attempts.error_request_id)
    order by request.started_at desc
    limit 1;

    if latest is null then
        raise exception 'no attempt at job:% is recorded', job
            using errcode = 'XF801', hint = '`flux queue list` shows what it waits for.';
    end if;

    return latest;
end
$$;

comment on function flux.request_of_job(bigint) is
    'The request of the latest attempt at a job; raises XF801 when none is recorded.';
