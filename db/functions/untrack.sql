create or replace function flux.untrack(target regclass)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    root regclass := coalesce(pg_partition_root(target), target);
begin
    insert into flux.tracking_choices as choice (table_name, tracked)
    values (flux.logical_name(root), false)
    on conflict (table_name) do update set tracked = false, chosen_at = now()
    where choice.tracked;

    return flux.drop_recorder(root);
end
$$;

comment on function flux.untrack(regclass) is
    'Records no change of a table from now on, and leaves it alone until flux.track(); false when it was not tracked. Its history stays.';

revoke all on function flux.untrack(regclass) from public;
