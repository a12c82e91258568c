create or replace function flux.span_mutations(request uuid, step integer default null, most integer default 200)
    returns table (
        id            bigint,
        step          integer,
        span_id       integer,
        table_name    text,
        row_key       jsonb,
        previous_key  jsonb,
        operation     text,
        rolled_back   boolean,
        recorded_at   timestamptz,
        changes       jsonb,
        writes        bigint
    )
    language sql
    stable
    set search_path = ''
as $$
    -- What was written by a step that was not recorded stands with the first that was, so that it is seen.
    with known as materialized (
        select span.span_id, min(span.span_id) over () as first_id
        from flux.execution_spans as span
        where span.request_id = request
    ),

    written as (
        select
            mutation,
            coalesce(own.span_id, (select min(known.first_id) from known)) as step
        from flux.request_mutations(request) as mutation
        left join known as own on own.span_id = mutation.span_id
    ),

    listed as (
        select
            written.*,
            count(*) over (partition by written.step) as writes,
            row_number() over (partition by written.step order by (written.mutation).id) as place
        from written
        where span_mutations.step is null or written.step = span_mutations.step
    )

    select
        (listed.mutation).id,
        listed.step,
        (listed.mutation).span_id,
        (listed.mutation).table_name,
        (listed.mutation).row_key,
        (listed.mutation).previous_key,
        (listed.mutation).operation,
        (listed.mutation).rolled_back,
        (listed.mutation).recorded_at,
        (
            select jsonb_agg(
                jsonb_build_object('name', part.name, 'in_key', part.in_key)
                || case when part.old_value is null then '{}' else jsonb_build_object('old', part.old_value) end
                || case when part.new_value is null then '{}' else jsonb_build_object('new', part.new_value) end
                order by part.position
            )
            from flux.column_changes(listed.mutation) with ordinality
                as part (name, old_value, new_value, in_key, position)
        ),
        listed.writes
    from listed
    where most is null or listed.place <= most
    order by listed.step, (listed.mutation).id
$$;

comment on function flux.span_mutations(uuid, integer, integer) is
    'What a step wrote, or each step, column by column; writes counts all of a step where more were made than are listed.';
