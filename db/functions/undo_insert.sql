create or replace function flux.undo_insert(target regclass, key jsonb, new_values jsonb)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format(
        E'with undone as (\n    delete from %s as present\n    where %s%s\n    returning true\n)\n'
        'select flux.undone(count(*), 1, %L) from undone;',
        target,
        flux.undo_where(target, key, new_values),
        (
            -- What would go with the row, or lose it, was written by others: the request's own is gone by now.
            select string_agg(
                format(
                    E'\n        and not exists (select from %s as child where %s)',
                    rule.conrelid::regclass,
                    (
                        select string_agg(format('child.%I = present.%I', own.attname, other.attname), ' and ')
                        from unnest(rule.conkey, rule.confkey) as pair (own_number, other_number)
                        join pg_attribute as own
                            on own.attrelid = rule.conrelid
                            and own.attnum = pair.own_number
                        join pg_attribute as other
                            on other.attrelid = rule.confrelid
                            and other.attnum = pair.other_number
                    )
                ),
                '' order by rule.conname
            )
            from pg_constraint as rule
            where rule.contype = 'f'
                and rule.confrelid = target
                and rule.conparentid = 0
                and rule.confdeltype in ('c', 'n', 'd')
        ),
        concat_ws(' ', target::text, flux.key_text(key))
    )
$$;

comment on function flux.undo_insert(regclass, jsonb, jsonb) is
    'SQL that takes back an insert: deletes the row if it is still as it was written.';
