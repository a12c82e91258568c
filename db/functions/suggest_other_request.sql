create or replace function flux.suggest_other_request(request uuid, step integer)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    with subject as (
        select asked.started_at, asked.started_at + coalesce(asked.duration_us, 0) * interval '1 microsecond' as ended_at
        from flux.trace_requests as asked
        where asked.request_id = request
    ),

    named as (  -- the transactions that Postgres says it waited for, by their lower 32 bits
        select matched[1]::bigint as transaction
        from flux.execution_spans as span
        cross join lateral regexp_matches(span.error ->> 'detail', 'on transaction (\d+)', 'g') as matched
        where span.request_id = request
            and span.span_id = step
    ),

    others as (
        select
            other.request_id, other.function, other.started_at,
            other.xact_id is not null and (other.xact_id::text::bigint & 4294967295) in (select named.transaction from named) as is_named,
            shared.target, shared.row_key
        from flux.trace_requests as other
        cross join subject
        left join lateral (
            select theirs.table_name as target, theirs.row_key
            from flux.state_mutations as theirs
            join flux.state_mutations as ours
                on ours.table_name = theirs.table_name
                and ours.row_key = theirs.row_key
                and ours.request_id = request
            where theirs.request_id = other.request_id
            limit 1
        ) as shared on true
        where other.request_id <> request
            and other.kind <> 'replay'
            and other.started_at between subject.started_at - interval '10 minutes' and subject.ended_at
            and other.started_at + coalesce(other.duration_us, 0) * interval '1 microsecond' >= subject.started_at
    )

    select
        case when others.is_named then 'certain' when others.target is not null then 'likely' else 'unknown' end,
        case
            when others.request_id is null then 'the other request is not in the record: it may have come from outside Flux'
            else format(
                'the other request is %s%s%s', flux.short_id(others.request_id), coalesce(' (' || others.function || ')', ''),
                coalesce(', which wrote ' || flux.short_table(others.target) || ' ' || flux.key_text(others.row_key) || ' at the same time', '')
            )
        end,
        others.request_id,
        'flux trace ' || left(others.request_id::text, 8)
    from (select) as always
    left join lateral (
        select *
        from others
        where others.is_named or others.target is not null
        order by others.is_named desc, others.started_at desc
        limit 1
    ) as others on true

    union all

    select 'likely', 'take locks in one order in every function, or raise attempts=…: a retry usually succeeds', null, null
$$;

comment on function flux.suggest_other_request(uuid, integer) is
    'For a deadlock, a serialization failure or a lock not had: the other request that held the row.';
