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
as $$
    with recursive span as materialized (
        select step.*
        from flux.execution_spans as step
        where step.request_id = request
    ),

    tree as (
        select root.span_id, 0 as depth, array[root.span_id] as place, root.parent_id is not null as orphaned
        from span as root
        where root.parent_id is null
            or not exists (select from span as parent where parent.span_id = root.parent_id)

        union all

        select child.span_id, tree.depth + 1, tree.place || child.span_id, false
        from tree
        join span as child on child.parent_id = tree.span_id
    )

    select
        span.span_id,
        span.parent_id,
        tree.depth,
        span.kind,
        span.name,
        (extract(epoch from span.started_at - min(span.started_at) over ()) * 1000000)::bigint,
        span.duration_us,
        greatest(0, span.duration_us - coalesce(inside.duration_us, 0))::bigint,
        coalesce(span.attributes ->> 'db.response.returned_rows', span.attributes ->> 'db.response.affected_rows')::bigint,
        span.attributes ->> 'db.query.text',
        span.input,
        span.output,
        span.error,
        span.attributes,
        coalesce(written.writes, 0),
        tree.orphaned
    from tree
    join span on span.span_id = tree.span_id
    left join (
        select child.parent_id, sum(child.duration_us) as duration_us
        from span as child
        group by child.parent_id
    ) as inside on inside.parent_id = span.span_id
    left join (
        select mutation.span_id, count(*) as writes
        from flux.request_mutations(request) as mutation
        group by mutation.span_id
    ) as written on written.span_id = span.span_id
    order by tree.place
$$;

comment on function flux.span_tree(uuid) is
    'The steps of a request in the order of a tree, each with when it began and how long it took by itself, in microseconds.';
