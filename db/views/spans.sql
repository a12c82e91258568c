create or replace view flux.spans as
select
    'req:' || left(span.request_id::text, 8) as id,
    span.span_id,
    span.parent_id,
    span.kind,
    span.name,
    span.started_at,
    round(span.duration_us / 1000.0, 1) as duration_ms,
    (span.attributes ->> 'db.response.returned_rows')::bigint as rows,
    span.error ->> 'message' as error,
    span.attributes ->> 'db.query.text' as sql,
    span.input,
    span.output,
    span.request_id
from flux.execution_spans as span;

comment on view flux.spans is
    'Steps of requests as people read them: select * from flux.spans where request_id = flux.request_named(''4f9a3b2c'') order by span_id.';
comment on column flux.spans.id is 'First digits of the request''s id.';
comment on column flux.spans.span_id is 'Number of the step inside its request.';
comment on column flux.spans.parent_id is 'The step it is part of; null for the root.';
comment on column flux.spans.kind is 'gateway, function, db, tool, queue, event, invoke or log.';
comment on column flux.spans.name is 'What it did, in few words.';
comment on column flux.spans.started_at is 'When it began.';
comment on column flux.spans.duration_ms is 'How long it took, in milliseconds.';
comment on column flux.spans.rows is 'Rows that a statement returned or changed.';
comment on column flux.spans.error is 'Message of its error; null when it went well.';
comment on column flux.spans.sql is 'Text of the statement, for a db step.';
comment on column flux.spans.input is 'What went in, redacted.';
comment on column flux.spans.output is 'What came out, redacted.';
comment on column flux.spans.request_id is 'The request it is a step of.';

grant select on flux.spans to flux_reader;
