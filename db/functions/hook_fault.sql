create or replace function flux.hook_fault(hook flux.hooks)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when flux.hook_is_there(hook, to_regclass(flux.known_table(hook.table_name))) then null
        else coalesce(hook.fault, format('its trigger on %s is gone or changed', hook.table_name))
    end
$$;

comment on function flux.hook_fault(flux.hooks) is
    'What keeps a hook from firing as its function says; null when nothing does.';
