create or replace function flux.suggest_missing_value(request uuid, step integer)
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
    with violation as (
        select
            span.error ->> 'column' as column_name,
            flux.short_table(coalesce(flux.known_table(span.error ->> 'table'), span.error ->> 'table')) as target,
            subject.function,
            subject.input
        from flux.execution_spans as span
        join flux.trace_requests as subject on subject.request_id = span.request_id
        where span.request_id = request
            and span.span_id = step
    ),

    candidates as (
        select violation.*, member.path, member.value,
            regexp_replace(member.path, '^.*\.', '') = violation.column_name as same_name
        from violation
        left join lateral (
            select listed.path, listed.value
            from flux.input_members(violation.input) as listed
            where listed.value = 'null'
                or regexp_replace(listed.path, '^.*\.', '') = violation.column_name
            order by regexp_replace(listed.path, '^.*\.', '') = violation.column_name desc, listed.path
            limit 1
        ) as member on true
    )

    select
        case when candidates.same_name and candidates.value = 'null' then 'certain' else 'likely' end,
        case
            when candidates.value = 'null' then format(
                'argument `%s` of %s was null, and %s.%s may not be',
                candidates.path, candidates.function, candidates.target, candidates.column_name
            )
            when candidates.path is not null then format(
                'argument `%s` of %s was given (%s), but did not reach %s.%s: look at the statement''s parameters',
                candidates.path, candidates.function, left(flux.value_text(candidates.value), 60), candidates.target, candidates.column_name
            )
            else format(
                '%s was not given an argument `%s`; give one, or the column %s.%s a default',
                coalesce(candidates.function, 'the function'), candidates.column_name, candidates.target, candidates.column_name
            )
        end,
        null::uuid,
        null
    from candidates
    where candidates.column_name is not null
$$;

comment on function flux.suggest_missing_value(uuid, integer) is
    'For a not-null violation: the argument that the missing value came from.';
