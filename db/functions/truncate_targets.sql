create or replace function flux.truncate_targets(target regclass)
    returns setof regclass
    language sql
    stable
    set search_path = ''
as $$
    select relation.oid::regclass
    from pg_class as relation
    where relation.relkind = 'r'
        and (
            relation.oid = target
            or relation.oid in (select tree.relid from pg_partition_tree(target) as tree)
        )
$$;

comment on function flux.truncate_targets(regclass) is
    'The tables that need a truncate trigger of their own for a table to be tracked: itself, or its partitions that hold rows.';
