create or replace function flux.run_schedule(function text)
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
declare
    tick constant timestamptz := clock_timestamp();
    job  bigint;
begin
    perform flux.require_schedule(function);
    job := flux.add_tick_job(function, tick);

    insert into flux.cron_ticks (function, tick, reason, job_id)
    values (function, tick, 'hand', job);

    return job;
end
$$;

comment on function flux.run_schedule(text) is
    'Runs a scheduled function now, besides its schedule; gives the id of its job.';

revoke all on function flux.run_schedule(text) from public;
