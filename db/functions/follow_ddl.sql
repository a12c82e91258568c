create or replace function flux.follow_ddl()
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    if not exists (select from pg_event_trigger where evtname = 'flux_follow_ddl') then
        create event trigger flux_follow_ddl
            on ddl_command_end
            when tag in (
                'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'ALTER SCHEMA', 'ALTER EXTENSION',
                'DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP INDEX'
            )
            execute function flux.track_changed_tables();
    end if;

    return true;
exception
    -- Most hosted databases keep event triggers to themselves: tables made there are tracked by flux.track_all().
    when insufficient_privilege then
        return false;
end
$$;

comment on function flux.follow_ddl() is
    'Has new and changed tables tracked as they are made; false where this role may not create an event trigger.';

revoke all on function flux.follow_ddl() from public;
