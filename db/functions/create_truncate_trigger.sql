create or replace function flux.create_truncate_trigger(leaf regclass, table_name text)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    existing pg_catalog.pg_trigger;
    arguments bytea := convert_to(table_name, getdatabaseencoding()) || '\x00';
begin
    select trigger.*
    into existing
    from pg_trigger as trigger
    where trigger.tgrelid = leaf
        and trigger.tgname like '0\_flux\_truncate\_%';

    if existing.tgargs = arguments and existing.tgenabled = 'A' then
        return;
    end if;

    if existing.oid is not null then
        execute format('drop trigger %I on %s', existing.tgname, leaf);
    end if;

    execute format(
        'create trigger %I before truncate on %s for each statement execute function flux.record_truncate(%L)',
        format('0_flux_truncate_%s', leaf::oid), leaf, table_name
    );
    execute format('alter table %s enable always trigger %I', leaf, format('0_flux_truncate_%s', leaf::oid));
end
$$;

comment on function flux.create_truncate_trigger(regclass, text) is
    'Makes the trigger that records the rows a truncate takes, under the name given.';

revoke all on function flux.create_truncate_trigger(regclass, text) from public;
