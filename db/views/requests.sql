create or replace view flux.requests as
select
    'req:' || left(request.request_id::text, 8) as id,
    request.started_at,
    request.kind,
    request.method,
    request.path,
    request.route,
    request.function,
    request.status,
    request.outcome,
    round(request.duration_us / 1000.0, 1) as duration_ms,
    concat_ws(': ', regexp_replace(request.error_type, '^.*\.', ''), request.error_message) as error,
    request.error_code,
    request.error_location,
    request.actor,
    request.code_sha,
    request.attempt,
    request.request_id,
    'req:' || left(request.replay_of::text, 8) as replay_of
from flux.trace_requests as request;

comment on view flux.requests is
    'Requests as people read them; `flux trace` lists the latest: select * from flux.requests order by started_at desc limit 20.';
comment on column flux.requests.id is 'First digits of the id, as commands take it.';
comment on column flux.requests.started_at is 'When the gateway or worker took it.';
comment on column flux.requests.kind is 'What started it: http, invoke, job, cron, event, hook, or replay.';
comment on column flux.requests.method is 'HTTP method.';
comment on column flux.requests.path is 'Path as the caller sent it.';
comment on column flux.requests.route is 'The route that matched; null when none did.';
comment on column flux.requests.function is 'Name of the function that ran; null when none did.';
comment on column flux.requests.status is 'HTTP status of the reply, or the one it would have had.';
comment on column flux.requests.outcome is 'ok, error, refused, timeout, crashed, or running.';
comment on column flux.requests.duration_ms is 'Time from start to reply, in milliseconds.';
comment on column flux.requests.error is 'Class and message of the error that ended it.';
comment on column flux.requests.error_code is 'SQLSTATE, or the code of a Flux error.';
comment on column flux.requests.error_location is 'file:line in the user''s code.';
comment on column flux.requests.actor is 'Who asked, as far as the gateway knows.';
comment on column flux.requests.code_sha is 'The code that ran.';
comment on column flux.requests.attempt is 'Attempts made, counting retries.';
comment on column flux.requests.request_id is 'The whole id.';
comment on column flux.requests.replay_of is 'The request it replays, for one of kind replay.';

grant select on flux.requests to flux_reader;
