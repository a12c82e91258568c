create or replace function flux.past_order(target regclass, columns text)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    -- A row lies where it was last written, behind what was written before it.
    select format(
        $query$
select %1$s
from past as present
left join (
    select %2$s, max(mutation.id) as flux_id
    from flux.state_mutations as mutation
    where mutation.table_name = %3$L
        and not mutation.rolled_back
        and mutation.operation in ('INSERT', 'UPDATE')
        and mutation.id not in (select id from touches)
    group by mutation.row_key
) as touch on %4$s
order by
    touch.flux_id nulls first,
    %5$s
        $query$,
        columns,
        string_agg(format('(mutation.row_key ->> %L)::%s as key_%s', name, type_name, place), ', ' order by place),
        flux.logical_name(target),
        string_agg(format('present.%I %s touch.key_%s', name, operator, place), ' and ' order by place),
        string_agg(format('present.%I', name), ', ' order by place)
    )
    from flux.past_keys(target)
$$;

comment on function flux.past_order(regclass, text) is
    'The end of flux.past_query that puts rows in the order in which they were last written, as far as the record tells, so that a query without an order gives them as it did.';
