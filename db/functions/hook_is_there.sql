create or replace function flux.hook_is_there(hook flux.hooks, target regclass)
    returns boolean
    language sql
    stable
    set search_path = ''
as $$
    select exists (
        select
        from pg_trigger as trigger
        join pg_proc as body on body.oid = trigger.tgfoid
        where trigger.tgrelid = target
            and trigger.tgname = flux.hook_name(hook.function)
            and trigger.tgenabled <> 'D'
            -- A row trigger (1) after insert (4), delete (8), update (16).
            and trigger.tgtype = 1
                + case when 'insert' = any (hook.operations) then 4 else 0 end
                + case when 'delete' = any (hook.operations) then 8 else 0 end
                + case when 'update' = any (hook.operations) then 16 else 0 end
            and body.prosrc = flux.hook_source(hook, target)
            and body.proconfig = array['search_path=' || flux.hook_path(target)]
    )
$$;

comment on function flux.hook_is_there(flux.hooks, regclass) is
    'Whether the trigger of a hook is on this table, switched on and as it should be.';
