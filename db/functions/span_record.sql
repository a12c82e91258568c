create or replace function flux.span_record(request uuid, step integer default null)
    returns setof flux.execution_spans
    language sql
    stable
    set search_path = ''
as $$
    select span.*
    from flux.execution_spans as span
    where span.request_id = request
        and (step is null or span.span_id = step or span.kind = 'log' and span.parent_id = step)
    order by span.span_id
$$;

comment on function flux.span_record(uuid, integer) is
    'One step of a request as it was recorded, and the log lines written in it; all of them where no step is given.';
