create or replace view flux.deployment_history as
select
    activation.id,
    activation.activated_at,
    activation.kind,
    activation.version,
    lag(activation.version) over (order by activation.id) as version_before,
    stored.code_sha,
    activation.activated_by,
    activation.note
from flux.activations as activation
inner join flux.stored_deployments as stored
    on activation.version = stored.version;

comment on view flux.deployment_history is
    'Each time the code that runs was changed: select * from flux.deployment_history order by id desc.';
comment on column flux.deployment_history.id is 'In the order in which they happened.';
comment on column flux.deployment_history.activated_at is 'When.';
comment on column flux.deployment_history.kind is 'deploy or rollback.';
comment on column flux.deployment_history.version is 'The version that runs from then on.';
comment on column flux.deployment_history.version_before is 'The version that ran until then; null at the first.';
comment on column flux.deployment_history.code_sha is 'The code of the new one.';
comment on column flux.deployment_history.activated_by is 'Who: user@machine.';
comment on column flux.deployment_history.note is 'Why, in the words of who did it.';

grant select on flux.deployment_history to flux_reader;
