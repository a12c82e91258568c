create or replace function flux.statements_of(requests uuid[])
    returns table (
        request_id  uuid,
        statement   text,
        times       bigint
    )
    language sql
    stable
    set search_path = ''
as $$
    select span.request_id, span.attributes ->> 'db.query.text', count(*)
    from flux.execution_spans as span
    where span.request_id = any (requests)
        and span.kind = 'db'
        and span.attributes ? 'db.query.text'
    group by span.request_id, span.attributes ->> 'db.query.text'
$$;

comment on function flux.statements_of(uuid[]) is
    'The distinct statements that some requests ran, and how often each did.';
