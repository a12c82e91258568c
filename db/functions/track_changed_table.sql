create or replace function flux.track_changed_table(target regclass)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    if flux.obstacle_to_tracking(target) is not null
        or flux.choice_against_tracking(target) is not null
        -- Somebody switched it off, which flux.untracked_tables tells: `alter table … disable trigger` would be in vain.
        or flux.recorder_fault(target) = 'recorder disabled'
    then
        return;
    end if;

    perform flux.create_recorder(target);
    perform flux.grant_access((select relnamespace from pg_class where oid = target)::regnamespace);
end
$$;

comment on function flux.track_changed_table(regclass) is
    'Tracks a table that DDL made or changed, unless it is not meant to be tracked or was switched off.';

revoke all on function flux.track_changed_table(regclass) from public;
