create or replace function flux.declare_hooks(declared jsonb)
    returns table (function text, fault text)
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_column
declare
    hook flux.hooks;
begin
    for hook in
        select there.*
        from flux.hooks as there
        where not exists (
            select
            from jsonb_to_recordset(declared -> 'functions') as loaded (function text, hook jsonb)
            where loaded.function = there.function
                and jsonb_typeof(loaded.hook) = 'object'
        )
            and not declared -> 'broken' ? there.function
    loop
        perform flux.drop_hook(hook.function);
        delete from flux.hooks as gone where gone.function = hook.function;
    end loop;

    for hook in
        select loaded.function, wanted.*
        from jsonb_to_recordset(declared -> 'functions') as loaded (function text, hook jsonb)
        cross join jsonb_to_record(loaded.hook) as wanted (table_name text, operations text[], condition text)
        where jsonb_typeof(loaded.hook) = 'object'
        order by loaded.function
    loop
        hook.fault := flux.create_hook(hook);

        insert into flux.hooks as there (function, table_name, operations, condition, fault)
        values (hook.function, hook.table_name, hook.operations, hook.condition, hook.fault)
        on conflict (function) do update
        set table_name = excluded.table_name,
            operations = excluded.operations,
            condition = excluded.condition,
            fault = excluded.fault,
            declared_at = now()
        where (there.table_name, there.operations, there.condition, there.fault)
            is distinct from (excluded.table_name, excluded.operations, excluded.condition, excluded.fault);

        if hook.fault is not null then
            function := hook.function;
            fault := hook.fault;
            return next;
        end if;
    end loop;
end
$$;

comment on function flux.declare_hooks(jsonb) is
    'Makes the hooks those of the loaded functions, with their triggers; gives those that cannot fire, and why.';

revoke all on function flux.declare_hooks(jsonb) from public;
