create or replace function flux.past_columns(target regclass)
    returns table (
        place         integer,
        name          text,
        type_name     text,
        from_content  text,
        from_part     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        attribute.attnum::integer,
        attribute.attname::text,
        format_type(attribute.atttypid, attribute.atttypmod),
        format(
            'case when whole.content ? %1$L then (%2$s)::%3$s else %4$s end',
            attribute.attname,
            case
                -- What was redacted is not known: a text says so, anything else is as little as its type allows.
                when type.typcategory = 'S' then format('whole.content ->> %L', attribute.attname)
                else format(
                    'case whole.content ->> %1$L when ''[redacted]'' then %2$s else whole.content ->> %1$L end',
                    attribute.attname,
                    case
                        when not attribute.attnotnull then 'null'
                        when type.typcategory in ('N', 'B') then '''0'''
                        when type.typcategory in ('D', 'T') then '''epoch'''
                        when type.typname = 'uuid' then '''00000000-0000-0000-0000-000000000000'''
                        when type.typname in ('json', 'jsonb') then '''"[redacted]"'''
                        else ''''''
                    end
                )
            end,
            format_type(attribute.atttypid, attribute.atttypmod),
            -- A row from before the column has what a row that was never written since has in it.
            coalesce(
                format('%L::%s', missing.value, format_type(attribute.atttypid, attribute.atttypmod)),
                format('null::%s', format_type(attribute.atttypid, attribute.atttypmod))
            )
        ),
        format(
            'case when touch.parts ? %1$L and (touch.parts ->> %1$L) is distinct from ''[redacted]'' '
            'then (touch.parts ->> %1$L)::%2$s else present.%3$I end',
            attribute.attname,
            format_type(attribute.atttypid, attribute.atttypmod),
            attribute.attname
        )
    from pg_attribute as attribute
    join pg_type as type on type.oid = attribute.atttypid
    left join lateral (
        -- What `add column … default` put into the rows there were; the leaves of a partitioned table know it.
        select (stored.attmissingval::text::text[])[1] as value
        from pg_attribute as stored
        where stored.attname = attribute.attname
            and stored.atthasmissing
            and (
                stored.attrelid = target
                or stored.attrelid in (select tree.relid from pg_partition_tree(target) as tree)
            )
        limit 1
    ) as missing on true
    where attribute.attrelid = target
        and attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated = ''
$$;

comment on function flux.past_columns(regclass) is
    'The columns of a table that can be written, and SQL that gives each as of the past: from a whole row of the record, or from the old values of what changed.';
