create or replace function flux.hook_obstacle(hook flux.hooks, target regclass)
    returns text
    language plpgsql
    stable
    set search_path = ''
as $$
begin
    if target is null then
        return format('there is no table %s', hook.table_name);
    end if;

    if (select relkind from pg_class where oid = target) not in ('r', 'p') then
        return format('%s is not a table', flux.short_table(target::text));
    end if;

    if flux.obstacle_to_tracking(target) is not null then
        return format('%s: %s', flux.short_table(target::text), flux.obstacle_to_tracking(target));
    end if;

    if hook.condition is not null then
        -- Asked of no row: names and types are looked up, nothing is computed.
        perform set_config('search_path', flux.hook_path(target), true);
        execute format(
            $condition$
            select
            from (select null::%1$s as new, null::%1$s as old) as written
            cross join lateral (select (written.new).*) as new
            cross join lateral (select (written.old).*) as old
            cross join (select null::text as tg_op) as trigger
            where false and (
%2$s
            )
            $condition$,
            target::text, hook.condition
        );
    end if;

    return null;
exception
    when others then
        return format('its when cannot be read: %s', sqlerrm);
end
$$;

comment on function flux.hook_obstacle(flux.hooks, regclass) is
    'Why a hook cannot be made: no such table, no right to, or a condition that does not fit it; null when nothing is in its way.';
