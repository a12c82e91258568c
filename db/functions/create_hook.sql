create or replace function flux.create_hook(hook flux.hooks)
    returns text
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    name     constant text := flux.hook_name(hook.function);
    target   constant regclass := to_regclass(flux.known_table(hook.table_name));
    obstacle constant text := flux.hook_obstacle(hook, target);
begin
    if obstacle is not null then
        perform flux.drop_hook(hook.function);
        return obstacle;
    end if;

    if flux.hook_is_there(hook, target) then
        return null;
    end if;

    -- Making a trigger waits for the table's writers, and new writers wait behind it: not for long.
    perform set_config('lock_timeout', '3s', true);
    perform flux.drop_hook(hook.function);

    execute format(
        $function$
        create function flux.%I()
            returns trigger
            language plpgsql
            volatile
            security definer
            set search_path = %s
        as %L
        $function$,
        name, flux.hook_path(target), flux.hook_source(hook, target)
    );
    execute format('revoke all on function flux.%I() from public', name);
    execute format(
        'comment on function flux.%I() is %L',
        name, format('Fires the hook of function %s on %s.', hook.function, flux.logical_name(target))
    );
    execute format(
        'create trigger %I after %s on %s for each row execute function flux.%1$I()',
        name, array_to_string(hook.operations, ' or '), target
    );
    return null;
exception
    when others then
        return sqlerrm;
end
$$;

comment on function flux.create_hook(flux.hooks) is
    'Makes the trigger of a hook, or leaves it as it is; why it cannot be made, or null. Then the former one is still there if it could not be replaced.';

revoke all on function flux.create_hook(flux.hooks) from public;
