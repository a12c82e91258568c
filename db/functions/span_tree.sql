create or replace function flux.span_tree(request uuid)
    returns table (
        span_id      integer,
        parent_id    integer,
        depth        integer,
        kind         text,
        name         text,
        offset_us    bigint,
        duration_us  bigint,
        self_us      bigint,
        rows         bigint,
        sql          text,
        input        jsonb,
        output       jsonb,
        error        jsonb,
        attributes   jsonb,
        writes       bigint,
        orphaned     boolean
    )
    language sql
    stable
    set search_path = ''
    set jit = off
as $$
    select
        step.span_id,
        step.parent_id,
        step.depth,
        step.kind,
        step.name,
        step.offset_us,
        step.duration_us,
        step.self_us,
        step.rows,
        span.attributes ->> 'db.query.text',
        span.input,
        span.output,
        span.error,
        span.attributes,
        step.writes,
        step.orphaned
    from flux.span_outline(request) with ordinality
        as step (
            span_id, parent_id, depth, kind, name, offset_us, duration_us, self_us, rows, error, writes, orphaned, place
        )
    join flux.execution_spans as span
        on span.request_id = request
        and span.span_id = step.span_id
    order by step.place
$$;

comment on function flux.span_tree(uuid) is
    'The steps of a request in the order of a tree, each with when it began and how long it took by itself, in microseconds.';
