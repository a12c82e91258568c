create or replace function flux.deliver(webhook text, event flux.events)
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    job bigint := flux.add_job(
        kind => 'event',
        function => 'flux.webhook',
        input => jsonb_build_object('webhook', webhook, 'event', flux.event_members(event))
    );
begin
    insert into flux.deliveries (job_id, webhook, event_id, event_time)
    values (job, webhook, event.id, event.time);

    return job;
end
$$;

comment on function flux.deliver(text, flux.events) is
    'Adds the job that takes an event to a webhook; gives its id.';

revoke all on function flux.deliver(text, flux.events) from public;
