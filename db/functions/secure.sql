create or replace function flux.secure(target regclass)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    was_off constant boolean := (select not class.relrowsecurity from pg_class as class where class.oid = target);
begin
    if exists (select from pg_policy as policy where policy.polrelid = target and policy.polname = 'flux_service') then
        return;
    end if;

    if was_off then
        execute format('alter table %s enable row level security', target);
    end if;

    execute format('create policy flux_service on %s to flux_app using (true) with check (true)', target);
    execute format(
        'comment on policy flux_service on %s is %L',
        target,
        'Made by Flux: functions that run as the service see every row.'
            || case when was_off then ' Row level security was off before.' else '' end
    );
end
$$;

comment on function flux.secure(regclass) is
    'Turns row level security of a table on, with all rights as before for functions that run as the service.';

revoke all on function flux.secure(regclass) from public;
