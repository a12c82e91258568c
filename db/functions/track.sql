create or replace function flux.track(target regclass)
    returns text
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    root     regclass := coalesce(pg_partition_root(target), target);
    obstacle text := flux.obstacle_to_tracking(root);
    outcome  text;
begin
    if obstacle is not null then
        raise exception 'cannot track %: %', flux.logical_name(root), obstacle
            using errcode = 'XF305', hint = 'Run flux.track() as the owner of the table, or as a superuser.';
    end if;

    outcome := flux.create_recorder(root);
    perform flux.grant_access((select relnamespace from pg_class where oid = root)::regnamespace);

    insert into flux.tracking_choices as choice (table_name, tracked)
    values (flux.logical_name(root), true)
    on conflict (table_name) do update set tracked = true, chosen_at = now()
    where not choice.tracked;

    return outcome;
end
$$;

comment on function flux.track(regclass) is
    'Records every change of a table from now on, even if settings exclude it; says tracked, renewed or unchanged.';

revoke all on function flux.track(regclass) from public;
