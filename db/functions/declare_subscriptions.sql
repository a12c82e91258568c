create or replace function flux.declare_subscriptions(declared jsonb)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    with wanted as (
        select 'function' as kind, loaded.function as subscriber, pattern
        from jsonb_to_recordset(declared -> 'functions') as loaded (function text, "on" text[])
        cross join unnest(loaded."on") as pattern
        union
        select 'webhook', webhook.name, pattern
        from jsonb_to_recordset(declared -> 'webhooks') as webhook (name text, events text[])
        cross join unnest(webhook.events) as pattern
    ),

    gone as (
        delete from flux.subscriptions as there
        where (there.kind, there.subscriber, there.pattern) not in (select * from wanted)
            and not (there.kind = 'function' and declared -> 'broken' ? there.subscriber)
    )

    insert into flux.subscriptions (kind, subscriber, pattern)
    select * from wanted
    except
    select * from flux.subscriptions;
end
$$;

comment on function flux.declare_subscriptions(jsonb) is
    'Makes the subscriptions those of the loaded functions and of the project''s webhooks.';

revoke all on function flux.declare_subscriptions(jsonb) from public;
