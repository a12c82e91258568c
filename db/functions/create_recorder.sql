create or replace function flux.create_recorder(target regclass)
    returns text
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    fault    text := flux.recorder_fault(target);
    recorder pg_catalog.pg_trigger;
    name     text;
    body     regproc;
begin
    if fault is null then
        return 'unchanged';
    end if;

    -- Two that do this at once wait for each other here; what the first has done is then seen by the second.
    execute format('lock table only %s in share row exclusive mode', target);
    fault := flux.recorder_fault(target);
    if fault is null then
        return 'unchanged';
    end if;

    name := flux.logical_name(target);
    recorder := flux.recorder_trigger(target);
    body := flux.create_recorder_function(target, recorder.tgfoid);

    if recorder.oid is null or recorder.tgargs <> convert_to(name, getdatabaseencoding()) || '\x00' then
        if recorder.oid is not null then
            execute format('drop trigger %I on %s', recorder.tgname, target);
        end if;

        -- Triggers fire in the order of their names: what others of this table cause is recorded after its cause.
        -- One name a table, so that it can become a partition of another.
        recorder.tgname := format('0_flux_record_%s', target::oid);
        execute format(
            'create trigger %I after insert or update or delete on %s for each row execute function %s(%L)',
            recorder.tgname, target, body, name
        );
        recorder.tgenabled := 'O';
    end if;

    if recorder.tgenabled <> 'A' then
        execute format('alter table %s enable always trigger %I', target, recorder.tgname);
    end if;

    perform flux.create_truncate_trigger(leaf, name) from flux.truncate_targets(target) as leaf;
    return case fault when 'not tracked' then 'tracked' else 'renewed' end;
end
$$;

comment on function flux.create_recorder(regclass) is
    'Makes or renews the recorder and the triggers of a table; says tracked, renewed or unchanged.';

revoke all on function flux.create_recorder(regclass) from public;
