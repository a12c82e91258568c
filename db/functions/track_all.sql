create or replace function flux.track_all()
    returns table (table_name text, outcome text)
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    target regclass;
begin
    perform flux.follow_ddl();
    perform flux.drop_orphaned_recorders();

    for target in select recordable from flux.recordable_tables() as recordable
    loop
        table_name := flux.logical_name(target);
        outcome := flux.choice_against_tracking(target);

        if outcome is not null then
            if flux.obstacle_to_tracking(target) is null then
                perform flux.drop_recorder(target);
            end if;
        else
            outcome := coalesce(flux.obstacle_to_tracking(target), flux.create_recorder(target));
        end if;

        return next;
    end loop;

    perform flux.grant_access(namespace.oid::regnamespace)
    from pg_namespace as namespace
    where namespace.nspname <> all (array['flux', 'information_schema'])
        and namespace.nspname not like 'pg\_%'
        and namespace.nspname not like 'flux\_role\_%'
        and (flux.setting_names('schemas') = '{}' or lower(namespace.nspname) = any (flux.setting_names('schemas')));
end
$$;

comment on function flux.track_all() is
    'Tracks every table that settings and choices ask for, and renews what changed; says for each what was done, or why nothing was.';

revoke all on function flux.track_all() from public;
