create or replace function flux.recorder_steps_aside(partition regclass, table_name text)
    returns boolean
    language sql
    stable
    set search_path = ''
as $$
    select flux.logical_name(partition) <> table_name
        and exists (
            select
            from pg_trigger as trigger
            where trigger.tgrelid = pg_partition_root(partition)
                and trigger.tgname like '0\_flux\_record\_%'
                and trigger.tgenabled <> 'D'
        )
$$;

comment on function flux.recorder_steps_aside(regclass, text) is
    'Whether a recorder leaves a row to that of the root: it came with a table that was attached as a partition since.';
