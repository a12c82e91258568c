create or replace function flux.span_outline(request uuid)
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
        error        text,
        writes       bigint,
        orphaned     boolean
    )
    language sql
    stable
    set search_path = ''
    set jit = off
as $$
    with recursive span as materialized (
        select
            step.span_id,
            step.parent_id,
            step.kind,
            step.name,
            step.started_at,
            step.duration_us,
            coalesce(step.attributes ->> 'db.response.returned_rows', step.attributes ->> 'db.response.affected_rows')::bigint as rows,
            case when step.error is not null then coalesce(step.error ->> 'message', '') end as error
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
        span.rows,
        span.error,
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

comment on function flux.span_outline(uuid) is
    'The steps of a request in the order of a tree, without the values that went in and out: what a list of thousands needs; flux.span_record has the rest.';
