-- The three record tables, partitioned by day so that retention is `drop table`. flux.make_partitions() makes
-- the days; rows of a day that has none are kept by the default partition.

create table flux.trace_requests (
    request_id         uuid        not null,
    kind               text        not null,
    method             text,
    path               text,
    query              text,
    route              text,
    function           text,
    headers            jsonb,
    input              jsonb,
    output             jsonb,
    status             integer,
    outcome            text        not null,
    error_type         text,
    error_message      text,
    error_code         text,
    error_location     text,
    error_stack        jsonb,
    error_signature    text,
    started_at         timestamptz not null,
    duration_us        bigint,
    actor              text,
    claims             jsonb,
    code_sha           text,
    trace_id           text,
    caller_request_id  text,
    parent_request_id  uuid,
    parent_span_id     integer,
    attempt            integer     not null default 1,
    xact_id            xid8,
    snapshot           pg_snapshot,
    replay_of          uuid,
    attributes         jsonb,
    primary key (request_id, started_at),
    constraint kind_is_known
        check (kind in ('http', 'invoke', 'job', 'cron', 'event', 'hook', 'replay')),
    constraint outcome_is_known
        check (outcome in ('ok', 'error', 'refused', 'timeout', 'crashed', 'running')),
    constraint duration_not_negative check (duration_us >= 0)
)
partition by range (started_at);

create table flux.trace_requests_default partition of flux.trace_requests default;

create index trace_requests_by_time on flux.trace_requests (started_at);
create index trace_requests_by_function on flux.trace_requests (function, started_at);
create index trace_requests_by_outcome on flux.trace_requests (outcome, started_at) where outcome <> 'ok';
create index trace_requests_by_signature on flux.trace_requests (error_signature, started_at)
    where error_signature is not null;
create index trace_requests_by_parent on flux.trace_requests (parent_request_id)
    where parent_request_id is not null;

-- When a request ended, for those that took a second and longer: what follows the record live looks for the others by
-- when they began. timezone() makes it a plain timestamp, because arithmetic on timestamptz may not be indexed.
create index trace_requests_by_end on flux.trace_requests (
    (timezone('UTC', started_at) + duration_us * interval '1 microsecond')
)
    where duration_us >= 1000000;

comment on table flux.trace_requests is 'One row a request: what came in, what went out, and how it ended.';
comment on column flux.trace_requests.request_id is 'Random, so that its first 8 hex digits are enough to name a request.';
comment on column flux.trace_requests.kind is 'What started it: http, invoke, job, cron, event, hook, or replay.';
comment on column flux.trace_requests.method is 'HTTP method.';
comment on column flux.trace_requests.path is 'Path as the caller sent it, without the query.';
comment on column flux.trace_requests.query is 'Query string as sent, redacted.';
comment on column flux.trace_requests.route is 'The route that matched, such as /users/{id}; null when none did.';
comment on column flux.trace_requests.function is 'Name of the function that ran; null when none did.';
comment on column flux.trace_requests.headers is 'Request headers by lower-case name, without credentials.';
comment on column flux.trace_requests.input is 'Arguments by name as sent, redacted; {"$omitted": …} where they were too large to keep.';
comment on column flux.trace_requests.output is 'What the function returned, redacted; {"$omitted": …} where it was too large to keep.';
comment on column flux.trace_requests.status is 'HTTP status of the reply, or the one it would have had.';
comment on column flux.trace_requests.outcome is 'ok, error, refused, timeout, crashed; running after an early commit.';
comment on column flux.trace_requests.error_type is 'Class of the error that ended the request, such as psycopg.errors.UniqueViolation.';
comment on column flux.trace_requests.error_message is 'Its message, redacted.';
comment on column flux.trace_requests.error_code is 'SQLSTATE, or the code of a Flux error, or null.';
comment on column flux.trace_requests.error_location is 'file:line in the user''s code, relative to the project.';
comment on column flux.trace_requests.error_stack is 'Frames, outermost first: [{"file", "line", "function", "source", "own"}]; own marks the user''s code.';
comment on column flux.trace_requests.error_signature is 'What similar errors share: function, type, code, file and message without its values, hashed.';
comment on column flux.trace_requests.started_at is 'When the gateway or worker took it.';
comment on column flux.trace_requests.duration_us is 'Time from start to reply, in microseconds; null while running or when it crashed.';
comment on column flux.trace_requests.actor is 'Who asked, as far as the gateway knows.';
comment on column flux.trace_requests.claims is 'What the caller''s credentials say of them, without the credentials.';
comment on column flux.trace_requests.code_sha is 'The code that ran: git commit, with + and a content hash when the tree was dirty, or the hash alone.';
comment on column flux.trace_requests.trace_id is 'W3C trace id, from traceparent or our own.';
comment on column flux.trace_requests.caller_request_id is 'The caller''s x-request-id, where it could not be taken as ours.';
comment on column flux.trace_requests.parent_request_id is 'The request that handed this one off.';
comment on column flux.trace_requests.parent_span_id is 'The span of the parent that handed it off.';
comment on column flux.trace_requests.attempt is 'Attempts made, counting retries after serialization failures and deadlocks.';
comment on column flux.trace_requests.xact_id is 'Transaction of its last unit of work; null when it ran no SQL.';
comment on column flux.trace_requests.snapshot is 'What its first statement could see; null when it ran no SQL.';
comment on column flux.trace_requests.replay_of is 'The request this one replayed.';
comment on column flux.trace_requests.attributes is 'Anything else, under OpenTelemetry''s names where there are such.';

create table flux.execution_spans (
    request_id   uuid        not null,
    span_id      integer     not null,
    parent_id    integer,
    kind         text        not null,
    name         text        not null,
    started_at   timestamptz not null,
    duration_us  bigint,
    input        jsonb,
    output       jsonb,
    error        jsonb,
    attributes   jsonb,
    primary key (request_id, span_id, started_at),
    constraint kind_is_known
        check (kind in ('gateway', 'function', 'db', 'tool', 'queue', 'event', 'log', 'invoke')),
    constraint duration_not_negative check (duration_us >= 0)
)
partition by range (started_at);

create table flux.execution_spans_default partition of flux.execution_spans default;

create index execution_spans_by_time on flux.execution_spans using brin (started_at);

comment on table flux.execution_spans is 'One row a step of a request; parent_id makes them a tree.';
comment on column flux.execution_spans.request_id is 'The request it is a step of.';
comment on column flux.execution_spans.span_id is 'Number of the step inside its request, from 1, in order of start.';
comment on column flux.execution_spans.parent_id is 'The step it is part of; null for the root.';
comment on column flux.execution_spans.kind is 'gateway, function, db, tool, queue, event, invoke or log.';
comment on column flux.execution_spans.name is 'What it did, in few words: POST /signup, create_user, insert users.';
comment on column flux.execution_spans.started_at is 'When it began, by the runtime''s clock.';
comment on column flux.execution_spans.duration_us is 'How long it took in microseconds; null where it has no length (log) or did not end.';
comment on column flux.execution_spans.input is 'What went in: arguments, SQL parameters, an outbound request; redacted.';
comment on column flux.execution_spans.output is 'What came out: a return value, rows, an answer; redacted.';
comment on column flux.execution_spans.error is '{"type", "message", "code", "location", "stack", and for SQL "table", "column", "constraint", "detail"}.';
comment on column flux.execution_spans.attributes is 'OpenTelemetry attributes: db.query.text, db.response.returned_rows, http.response.status_code, …';

create sequence flux.mutation_id;

comment on sequence flux.mutation_id is
    'Numbers of mutations. Writers of one row wait for each other, so for one row the numbers are in the order of its changes.';

create table flux.state_mutations (
    id             bigint      not null default nextval('flux.mutation_id'),
    recorded_at    timestamptz not null default clock_timestamp(),
    request_id     uuid,
    span_id        integer,
    xact_id        xid8        not null default pg_current_xact_id(),
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

-- No check on operation: Postgres reads a check anew for each statement, so each recorded row would pay 2 µs for it,
-- and only recorders write here.

create table flux.state_mutations_default partition of flux.state_mutations default;

create index state_mutations_by_row on flux.state_mutations (table_name, row_key, id);
create index state_mutations_by_previous_key on flux.state_mutations (table_name, previous_key, id)
    where previous_key is not null;
create index state_mutations_by_request on flux.state_mutations (request_id)
    where request_id is not null;
create index state_mutations_by_time on flux.state_mutations using brin (recorded_at);

comment on table flux.state_mutations is 'One row for each row written, with the request and span that wrote it.';
comment on column flux.state_mutations.id is 'For one row of data, in the order of its changes.';
comment on column flux.state_mutations.recorded_at is 'When it was written, inside the transaction.';
comment on column flux.state_mutations.request_id is 'The request that wrote it; null for a write from outside Flux.';
comment on column flux.state_mutations.span_id is 'The step of that request.';
comment on column flux.state_mutations.xact_id is 'The transaction that wrote it.';
comment on column flux.state_mutations.table_name is 'Schema and table, quoted where needed, so that it can be cast to regclass.';
comment on column flux.state_mutations.operation is 'INSERT, UPDATE, DELETE, or TRUNCATE (one row for each row that went).';
comment on column flux.state_mutations.row_key is 'Primary key after the write, as an object; null when the table has none.';
comment on column flux.state_mutations.previous_key is 'Primary key before the write, where the write changed it.';
comment on column flux.state_mutations.new_values is 'INSERT: the row. UPDATE: the new values of what changed, or the whole row when the table has no key. Read a value with ->> and cast it to its column''s type.';
comment on column flux.state_mutations.old_values is 'DELETE, TRUNCATE: the row. UPDATE: the old values of what changed, or the whole row when the table has no key.';
comment on column flux.state_mutations.rolled_back is 'True for a write that was attempted and taken back with its transaction.';
comment on column flux.state_mutations.trigger_depth is
    'How deep in triggers it was written: 2 for a write of a trigger, 3 for one of a trigger of that; null for the statement''s own and its cascades.';
comment on column flux.state_mutations.actor is 'For a write from outside Flux: database user and application name.';

revoke all on flux.trace_requests, flux.execution_spans, flux.state_mutations from public;
grant select on flux.trace_requests, flux.execution_spans, flux.state_mutations to flux_reader;
