create or replace function flux.declare_handoffs(declared jsonb)
    returns table (function text, fault text)
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    -- Workers that load the same functions at the same moment go one after another; the later ones find nothing to do.
    perform pg_advisory_xact_lock(hashtextextended('flux.declare_handoffs', 0));

    perform flux.declare_job_defaults(declared);
    perform flux.declare_schedules(declared);
    perform flux.declare_subscriptions(declared);

    return query select * from flux.declare_hooks(declared);
end
$$;

comment on function flux.declare_handoffs(jsonb) is
    'Makes queue options, schedules, subscriptions and hooks those that the loaded functions declare; gives the hooks that cannot fire, and why. What belongs to a function of "broken" stays as it is.';

revoke all on function flux.declare_handoffs(jsonb) from public;
