create or replace function flux.choice_against_tracking(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when choice.tracked then null
        when not choice.tracked then 'untracked by hand'
        when lower(class.relname) = any (flux.setting_names('exclude'))
            or lower(format('%s.%s', namespace.nspname, class.relname)) = any (flux.setting_names('exclude'))
            then 'excluded'
        when flux.setting_names('schemas') <> '{}'
            and lower(namespace.nspname) <> all (flux.setting_names('schemas'))
            then 'its schema is not tracked'
    end
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    left join flux.tracking_choices as choice on choice.table_name = flux.logical_name(target)
    where class.oid = coalesce(pg_partition_root(target), target)
$$;

comment on function flux.choice_against_tracking(regclass) is
    'Why a table is not meant to be tracked: by hand, or by the settings exclude and schemas; null when it is.';
