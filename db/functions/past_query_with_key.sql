create or replace function flux.past_query_with_key(
    target regclass, touches text, source text, only_keys jsonb, in_order boolean
)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with key as (
        select
            string_agg(format('(asked.row_key ->> %L)::%s as key_%s', name, type_name, place), ', ' order by place)
                as typed,
            string_agg(format('present.%I %s touch.key_%s', name, operator, place), ' and ' order by place) as matches
        from flux.past_keys(target)
    ),

    columns as (
        select
            string_agg(format('present.%I', name), ', ' order by place) as present,
            string_agg(format('%s as %I', from_part, name), ', ' order by place) as from_part,
            string_agg(format('%s as %I', from_content, name), ', ' order by place) as from_content
        from flux.past_columns(target)
    )

    select format(
        $query$
with touches as materialized (%1$s),
steps as materialized (
    select id, row_key, operation <> 'UPDATE' or previous_key is not null as is_whole,
        case when previous_key is null then old_values end as before
    from touches
    union all
    select id, previous_key, true, old_values from touches where previous_key is not null
),
asked as (%2$s),
whole as (
    select distinct on (row_key) row_key, id, before from steps where is_whole order by row_key, id
),
old_parts as (
    select step.row_key, jsonb_object_agg(part.key, part.value order by step.id desc) as parts
    from steps as step
    left join whole using (row_key)
    cross join jsonb_each(step.before) as part
    where not step.is_whole and (whole.id is null or step.id < whole.id)
    group by step.row_key
),
touched as materialized (
    select %3$s, whole.id is not null as is_whole, whole.before, coalesce(old_parts.parts, '{}') as parts
    from asked
    left join whole using (row_key)
    left join old_parts using (row_key)
),
past as (
    %4$s
    select %5$s from touched as touch join %6$s as present on %7$s where not touch.is_whole
    union all
    select %8$s
    from (select before || parts as content from touched where is_whole and before is not null) as whole
)
%9$s
        $query$,
        touches,
        case
            when only_keys is null then 'select distinct row_key from steps'
            else format('select distinct row_key from jsonb_array_elements(%L) as given (row_key)', only_keys)
        end,
        key.typed,
        case when only_keys is null then format(
            'select %s from %s as present where not exists (select from touched as touch where %s) union all',
            columns.present, source, key.matches
        ) end,
        columns.from_part, source, key.matches, columns.from_content,
        case when in_order then flux.past_order(target, columns.present) else 'select * from past' end
    )
    from key, columns
$$;

comment on function flux.past_query_with_key(regclass, text, text, jsonb, boolean) is
    'The SQL of flux.past_query for a table with a key: rows without a touch as they are now, the others rebuilt.';
