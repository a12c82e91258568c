create or replace function flux.drop_hook(function text)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
declare
    name  constant text := flux.hook_name(function);
    owner regclass;
begin
    for owner in
        select trigger.tgrelid
        from pg_trigger as trigger
        join pg_proc as body on body.oid = trigger.tgfoid
        where trigger.tgname = name
            and trigger.tgparentid = 0
            and body.pronamespace = 'flux'::regnamespace
    loop
        execute format('drop trigger %I on %s', name, owner);
    end loop;

    if to_regprocedure(format('flux.%I()', name)) is not null then
        execute format('drop function flux.%I()', name);
    end if;
end
$$;

comment on function flux.drop_hook(text) is
    'Takes a function''s hook from whatever table it is on.';

revoke all on function flux.drop_hook(text) from public;
