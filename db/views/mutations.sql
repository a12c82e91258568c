create or replace view flux.mutations as
select
    mutation.id,
    mutation.recorded_at,
    mutation.table_name,
    flux.key_text(mutation.row_key) as row,
    mutation.operation,
    flux.change_text(mutation) as change,
    mutation.rolled_back,
    'req:' || left(mutation.request_id::text, 8) as request,
    mutation.span_id,
    mutation.actor,
    mutation.request_id,
    mutation.row_key
from flux.state_mutations as mutation;

comment on view flux.mutations is
    'Writes as people read them: select * from flux.mutations where table_name = ''public.users'' order by id.';
comment on column flux.mutations.id is 'For one row of data, in the order of its changes.';
comment on column flux.mutations.recorded_at is 'When it was written.';
comment on column flux.mutations.table_name is 'Schema and table.';
comment on column flux.mutations.row is 'Key of the row, as flux state takes it.';
comment on column flux.mutations.operation is 'INSERT, UPDATE, DELETE, or TRUNCATE.';
comment on column flux.mutations.change is 'What changed, on one line.';
comment on column flux.mutations.rolled_back is 'True for a write that was attempted and taken back.';
comment on column flux.mutations.request is 'First digits of the request that wrote it; null for a write from outside Flux.';
comment on column flux.mutations.span_id is 'The step of that request.';
comment on column flux.mutations.actor is 'For a write from outside Flux: application and database user.';
comment on column flux.mutations.request_id is 'The whole id of the request.';
comment on column flux.mutations.row_key is 'Key of the row as JSON.';

grant select on flux.mutations to flux_reader;
