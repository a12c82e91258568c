create or replace function flux.drop_policies()
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    found record;
begin
    for found in
        select policy.polname, policy.polrelid::regclass as target, mark.description
        from pg_policy as policy
        join pg_description as mark on mark.objoid = policy.oid and mark.classoid = 'pg_policy'::regclass
        where mark.description like 'Made by Flux%'
    loop
        execute format('drop policy %I on %s', found.polname, found.target);

        if found.description like '%Row level security was off before.' then
            execute format('alter table %s disable row level security', found.target);
        end if;
    end loop;

    for found in
        select class.oid::regclass as view
        from pg_class as class
        join pg_namespace as namespace on namespace.oid = class.relnamespace
        where namespace.nspname like 'flux\_role\_%'
            and class.relkind = 'v'
            and obj_description(class.oid, 'pg_class') like 'Made by Flux%'
    loop
        execute format('drop view %s', found.view);
    end loop;

    for found in
        select namespace.nspname
        from pg_namespace as namespace
        where namespace.nspname like 'flux\_role\_%'
            and obj_description(namespace.oid, 'pg_namespace') like 'Made by Flux%'
    loop
        execute format('drop schema %I', found.nspname);
    end loop;

    for found in select granted.object, granted.role from flux.policy_grants as granted
    loop
        execute format('revoke all on %s from %I', found.object, found.role);
    end loop;
end
$$;

comment on function flux.drop_policies() is
    'Takes back all that policies gave and made; row level security goes off again where it was off before. The roles stay.';

revoke all on function flux.drop_policies() from public;
