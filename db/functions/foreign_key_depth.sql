create or replace function flux.foreign_key_depth(target regclass)
    returns integer
    language sql
    stable
    set search_path = ''
as $$
    with recursive referred (oid, depth) as (
        select target::oid, 0
        union
        select rule.confrelid, referred.depth + 1
        from referred
        join pg_constraint as rule on rule.conrelid = referred.oid
        where rule.contype = 'f'
            and rule.confrelid <> rule.conrelid
            -- Tables that refer to each other have no order.
            and referred.depth < 32
    )

    select max(depth) from referred
$$;

comment on function flux.foreign_key_depth(regclass) is
    'How many tables must have their rows before a table, by its foreign keys.';
