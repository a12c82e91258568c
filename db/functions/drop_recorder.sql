create or replace function flux.drop_recorder(target regclass)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    recorder pg_catalog.pg_trigger := flux.recorder_trigger(target);
    leaf     regclass;
    name     name;
begin
    for leaf, name in
        select trigger.tgrelid, trigger.tgname
        from flux.truncate_targets(target) as relation
        join pg_trigger as trigger on trigger.tgrelid = relation
        where trigger.tgname like '0\_flux\_truncate\_%'
    loop
        execute format('drop trigger %I on %s', name, leaf);
    end loop;

    if recorder.oid is null then
        return false;
    end if;

    execute format('drop trigger %I on %s', recorder.tgname, target);
    execute format('drop function %s()', recorder.tgfoid::regproc);
    return true;
end
$$;

comment on function flux.drop_recorder(regclass) is
    'Takes the recorder and its triggers from a table; false when it had none.';

revoke all on function flux.drop_recorder(regclass) from public;
