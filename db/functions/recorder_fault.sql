create or replace function flux.recorder_fault(target regclass)
    returns text
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    recorder    pg_catalog.pg_trigger := flux.recorder_trigger(target);
    name        text := flux.logical_name(target);
    unprotected regclass;
begin
    if recorder.oid is null then
        return 'not tracked';
    end if;

    if recorder.tgenabled = 'D' then
        return 'recorder disabled';
    end if;

    if recorder.tgenabled <> 'A'
        or recorder.tgargs <> convert_to(name, getdatabaseencoding()) || '\x00'
        or (select prosrc from pg_proc where oid = recorder.tgfoid) <> flux.recorder_source(target)
    then
        return 'recorder stale';
    end if;

    select leaf
    into unprotected
    from flux.truncate_targets(target) as leaf
    where not exists (
        select
        from pg_trigger as trigger
        where trigger.tgrelid = leaf
            and trigger.tgname like '0\_flux\_truncate\_%'
            and trigger.tgenabled = 'A'
            and trigger.tgargs = recorder.tgargs
    )
    limit 1;

    if found then
        return format('truncate of %s not recorded', unprotected);
    end if;

    return null;
end
$$;

comment on function flux.recorder_fault(regclass) is
    'What keeps a table''s recorder from recording everything; null when nothing does.';
