create or replace function flux.hook_source(hook flux.hooks, target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when hook.condition is null then format(
            $always$
begin
    perform flux.fire_hook(%L, %L, tg_op, to_jsonb(new), to_jsonb(old));
    return null;
end
$always$,
            hook.function, flux.logical_name(target)
        )
        -- A condition that fails, because a column of it was dropped since, must not fail the write.
        else format(
            $conditional$
declare
    met boolean;
begin
    begin
        met := (
%1$s
        );
    exception
        when others then
            perform flux.fire_hook(%2$L, %3$L, tg_op, to_jsonb(new), to_jsonb(old), sqlerrm);
            return null;
    end;

    if met then
        perform flux.fire_hook(%2$L, %3$L, tg_op, to_jsonb(new), to_jsonb(old));
    end if;

    return null;
end
$conditional$,
            hook.condition, hook.function, flux.logical_name(target)
        )
    end
$$;

comment on function flux.hook_source(flux.hooks, regclass) is
    'The body of a hook''s trigger function: its condition, and the job when it is met.';
