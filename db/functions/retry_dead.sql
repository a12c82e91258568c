create or replace function flux.retry_dead(in_queue text default null, for_function text default null)
    returns bigint
    language sql
    volatile
    set search_path = ''
as $$
    select count(*)
    from flux.dead_matching(in_queue, for_function) as dead
    where flux.retry_job(dead.job_id)
$$;

comment on function flux.retry_dead(text, text) is
    'Brings back every job whose last attempt failed, of a queue or function or of all; how many.';

revoke all on function flux.retry_dead(text, text) from public;
