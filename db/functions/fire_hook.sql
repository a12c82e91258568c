create or replace function flux.fire_hook(
    function text,
    table_name text,
    operation text,
    new_row jsonb,
    old_row jsonb,
    fault text default null
)
    returns bigint
    language plpgsql
    volatile
    security definer
    set search_path = ''
as $$
declare
    depth constant integer := flux.current_depth() + 1;
    input constant jsonb := flux.hook_input(table_name, operation, new_row, old_row);
begin
    if fault is not null then
        return flux.add_dead_job('hook', function, input, depth, format('its when failed: %s', fault));
    end if;

    -- So many hooks, each fired by the work of another, are a circle.
    if depth > 8 then
        return flux.add_dead_job(
            'hook', function, input, depth, 'stopped: 8 hooks led to this one, each by the work of another'
        );
    end if;

    return flux.add_job(kind => 'hook', function => function, input => input, depth => depth);
end
$$;

comment on function flux.fire_hook(text, text, text, jsonb, jsonb, text) is
    'Adds the job of a hook that fired. One whose condition failed, or that stands at the end of a circle, is dead at once and says why; the write goes on.';

revoke all on function flux.fire_hook(text, text, text, jsonb, jsonb, text) from public;
