create or replace function flux.tables_linked()
    returns table (
        table_name  text,
        other       text
    )
    language sql
    stable
    set search_path = ''
as $$
    select distinct flux.logical_name(rule.conrelid::regclass), flux.logical_name(rule.confrelid::regclass)
    from pg_constraint as rule
    where rule.contype = 'f'
        and rule.conrelid <> rule.confrelid
$$;

comment on function flux.tables_linked() is
    'Tables that a foreign key binds to each other, so that a write to one may read or change the other.';
