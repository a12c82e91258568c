create or replace function flux.past_query_without_key(target regclass, touches text, source text)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format(
        $query$
with touches as materialized (%1$s),
net as materialized (
    select content, sum(number) as number
    from (
        select old_values::text, 1 from touches where old_values is not null
        union all
        select new_values::text, -1 from touches where new_values is not null
    ) as counted (content, number)
    group by content
    having sum(number) <> 0
),
numbered as (
    select present.*, encoded.content as flux_content,
        row_number() over (partition by encoded.content order by present.tableoid, present.ctid) as flux_place
    from %2$s as present
    cross join lateral (select (%3$s)::text as content) as encoded
)
select %4$s
from numbered as present
left join net on net.content = present.flux_content
where coalesce(net.number, 0) >= 0 or present.flux_place > -net.number
union all
select %5$s
from (select net.content::jsonb as content from net, generate_series(1, net.number) where net.number > 0) as whole
        $query$,
        touches,
        source,
        flux.encoded_row(target, 'present'),
        string_agg(format('present.%I', name), ', ' order by place),
        string_agg(from_content, ', ' order by place)
    )
    from flux.past_columns(target)
$$;

comment on function flux.past_query_without_key(regclass, text, text) is
    'The SQL of flux.past_query for a table without a key: present rows, plus what was removed since, less what was added since.';
