create or replace function flux.record_gaps(request uuid)
    returns table (gap text)
    language sql
    stable
    set search_path = ''
as $$
    with steps as (
        select count(*) as kept, max(span.span_id) as highest, bool_or(span.kind = 'function') as has_function
        from flux.execution_spans as span
        where span.request_id = request
    )

    select found.gap
    from flux.request_record(request) as asked
    cross join steps
    cross join lateral (
        values
            (asked.outcome = 'running', 'it still runs, or its end was never recorded'),
            (asked.outcome = 'crashed', 'its process died: steps and uncommitted writes since its last commit are lost'),
            (
                steps.kept = 0 and asked.outcome not in ('refused', 'crashed'),
                'none of its steps were recorded'
            ),
            (
                steps.kept > 0 and steps.highest > steps.kept and asked.attributes ->> 'spans_omitted' is null,
                format('%s of its %s steps were not recorded', steps.highest - steps.kept, steps.highest)
            ),
            (
                asked.attributes ->> 'spans_omitted' is not null,
                format('%s of its steps were too many to keep', asked.attributes ->> 'spans_omitted')
            ),
            (
                asked.attributes ->> 'mutations_not_kept' is not null,
                format('writes that were rolled back: %s', asked.attributes ->> 'mutations_not_kept')
            )
    ) as found (is_so, gap)
    where found.is_so
$$;

comment on function flux.record_gaps(uuid) is
    'What the record of a request lacks; no rows when it is whole.';
