create or replace function flux.require_past(target regclass)
    returns regclass
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    root regclass := coalesce(pg_partition_root(target), target);
begin
    if (flux.recorder_trigger(root)).oid is null then
        raise exception 'the past of % is not recorded', flux.logical_name(root)
            using
                errcode = 'XF803',
                hint = format('Run flux db track %s to record it from now on.', flux.logical_name(root));
    end if;

    return root;
end
$$;

comment on function flux.require_past(regclass) is
    'The table a past is asked of, the root for a partition; raises XF803 when nothing is recorded of it.';
