create or replace view flux.subscribers as
select
    there.kind,
    there.subscriber,
    string_agg(there.pattern, ', ' order by there.pattern) as listens_to,
    null as condition,
    null as fault
from flux.subscriptions as there
group by there.kind, there.subscriber

union all

select
    'hook',
    hook.function,
    format('%s of %s', array_to_string(hook.operations, ', '), hook.table_name),
    hook.condition,
    flux.hook_fault(hook)
from flux.hooks as hook

order by kind, subscriber;

comment on view flux.subscribers is
    'Who is told of what: functions and webhooks of events, functions of writes to a table, and what keeps a hook from firing.';
comment on column flux.subscribers.kind is 'function, webhook or hook.';
comment on column flux.subscribers.subscriber is 'Name of the function or the webhook.';
comment on column flux.subscribers.listens_to is 'Patterns of event types; of a hook, the writes it runs after.';
comment on column flux.subscribers.condition is 'The when of a hook.';
comment on column flux.subscribers.fault is 'Why it cannot fire; null when it can.';

grant select on flux.subscribers to flux_reader;
