create or replace function flux.recorder_trigger(target regclass)
    returns pg_catalog.pg_trigger
    language sql
    stable
    set search_path = ''
as $$
    select trigger
    from pg_trigger as trigger
    where trigger.tgrelid = target
        and trigger.tgparentid = 0
        and trigger.tgname like '0\_flux\_record\_%'
$$;

comment on function flux.recorder_trigger(regclass) is
    'A table''s own recorder trigger, not one that came with being a partition; null when it has none.';
