create or replace function flux.undo_obstacle(recorded_table text, mutations bigint[])
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when to_regclass(recorded_table) is null then 'the table is no more'
        else (
            select case
                when bool_or(written.operation = 'TRUNCATE' and written.old_values is null)
                    then 'it was truncated, and its rows could not be recorded'
                when bool_or(redacted.is_so) then format(
                    'what %s was before is redacted', string_agg(distinct part.key, ', ') filter (where redacted.is_so)
                )
                when bool_or(gone.is_so) then format(
                    'the table has no column %s any more',
                    string_agg(distinct part.key, ', ') filter (where gone.is_so)
                )
            end
            from flux.state_mutations as written
            left join lateral jsonb_each(case when written.operation <> 'INSERT' then written.old_values end) as part
                on true
            cross join lateral (select part.value::text like '%[redacted]%' as is_so) as redacted
            cross join lateral (
                select part.key is not null and not exists (
                    select
                    from pg_attribute as attribute
                    where attribute.attrelid = to_regclass(recorded_table)
                        and attribute.attname = part.key
                        and not attribute.attisdropped
                ) as is_so
            ) as gone
            where written.id = any (mutations)
                and written.table_name = recorded_table
        )
    end
$$;

comment on function flux.undo_obstacle(text, bigint[]) is
    'Why the rows before some writes cannot be had again; null when they can.';
