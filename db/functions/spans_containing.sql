create or replace function flux.spans_containing(request uuid, wanted text)
    returns table (span_id integer)
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(around.span_id, span.span_id)
    from flux.execution_spans as span
    left join flux.execution_spans as around
        on around.request_id = request
        and around.span_id = span.parent_id
        and span.kind = 'log'
    where span.request_id = request
        and position(
            lower(wanted) in lower(concat_ws(
                E'\n', span.kind, span.name, span.attributes ->> 'db.query.text',
                span.input::text, span.output::text, span.error::text
            ))
        ) > 0

    union

    select mutation.span_id
    from flux.request_mutations(request) as mutation
    where mutation.span_id is not null
        and position(
            lower(wanted) in lower(concat_ws(
                E'\n', mutation.table_name, mutation.row_key::text, mutation.new_values::text, mutation.old_values::text
            ))
        ) > 0
    order by 1
$$;

comment on function flux.spans_containing(uuid, text) is
    'The steps of a request in whose name, SQL, values, error or writes a text occurs, in upper or lower case; a log line stands for the step that it was written in.';
