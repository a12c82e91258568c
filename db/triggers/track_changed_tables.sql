create or replace function flux.track_changed_tables()
    returns event_trigger
    language plpgsql
    volatile
    security definer
    set search_path = ''
as $$
declare
    target regclass;
begin
    -- What this does is DDL too.
    if current_setting('flux.follows_ddl', true) = 'on' then
        return;
    end if;

    perform set_config('flux.follows_ddl', 'on', true);

    begin
        perform flux.drop_orphaned_recorders();

        for target in
            select distinct coalesce(pg_partition_root(changed.objid), changed.objid)
            from pg_event_trigger_ddl_commands() as command
            join lateral (
                select command.objid where command.classid = 'pg_class'::regclass
                union all
                select class.oid
                from pg_class as class
                where command.classid = 'pg_namespace'::regclass
                    and class.relnamespace = command.objid
            ) as changed on true
            join pg_class as relation on relation.oid = changed.objid
            where relation.relkind in ('r', 'p')
        loop
            perform flux.track_changed_table(target);
        end loop;
    exception
        when others then
            raise warning 'changed tables are not tracked: %', sqlerrm
                using hint = 'Run flux db migrate, or select flux.track_all().';
    end;

    perform set_config('flux.follows_ddl', 'off', true);
end
$$;

comment on function flux.track_changed_tables() is
    'After DDL, tracks what it made or changed. What goes wrong here is a warning: the DDL itself never fails of it.';

revoke all on function flux.track_changed_tables() from public;
