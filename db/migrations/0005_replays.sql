-- What replays write. A replay is a request of kind replay; what it wrote, it wrote in its sandbox, so it is kept apart
-- from state_mutations, which is the history of the real tables and of nothing else.

create table flux.replay_mutations (
    id             bigint      not null,
    recorded_at    timestamptz not null,
    request_id     uuid        not null,
    span_id        integer,
    xact_id        xid8,
    table_name     text        not null collate "C",
    operation      text        not null,
    row_key        jsonb,
    previous_key   jsonb,
    new_values     jsonb,
    old_values     jsonb,
    rolled_back    boolean     not null default false,
    actor          text,
    trigger_depth  smallint
)
partition by range (recorded_at);

create table flux.replay_mutations_default partition of flux.replay_mutations default;

create index replay_mutations_by_request on flux.replay_mutations (request_id);
create index trace_requests_by_replay on flux.trace_requests (replay_of, code_sha)
    where replay_of is not null;

comment on table flux.replay_mutations is
    'One row for each row a replay wrote in its sandbox, with the columns of state_mutations; the sandbox itself is gone.';
comment on column flux.replay_mutations.id is 'In the order of the sandbox''s writes.';
comment on column flux.replay_mutations.recorded_at is 'When the replay wrote it.';
comment on column flux.replay_mutations.request_id is 'The replay that wrote it.';
comment on column flux.replay_mutations.span_id is 'The step of that replay.';
comment on column flux.replay_mutations.xact_id is 'Transaction of the sandbox; it means nothing in this database.';
comment on column flux.replay_mutations.table_name is 'Schema and table, quoted where needed.';
comment on column flux.replay_mutations.operation is 'INSERT, UPDATE, DELETE, or TRUNCATE.';
comment on column flux.replay_mutations.row_key is 'Primary key after the write, as an object; null when the table has none.';
comment on column flux.replay_mutations.previous_key is 'Primary key before the write, where the write changed it.';
comment on column flux.replay_mutations.new_values is 'As in state_mutations.';
comment on column flux.replay_mutations.old_values is 'As in state_mutations.';
comment on column flux.replay_mutations.rolled_back is 'True for a write that was attempted and taken back with its transaction.';
comment on column flux.replay_mutations.actor is 'As in state_mutations; a replay''s writes have none.';
comment on column flux.replay_mutations.trigger_depth is 'As in state_mutations.';

revoke all on flux.replay_mutations from public;
grant select on flux.replay_mutations to flux_reader;
