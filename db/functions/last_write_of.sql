create or replace function flux.last_write_of(target text, wanted jsonb, operations text[], during uuid default null)
    returns setof flux.state_mutations
    language plpgsql
    stable
    set search_path = ''
as $$
begin
    -- The row is most often still there: then its key leads to its few writes.
    return query
    select mutation.*
    from flux.state_mutations as mutation
    where mutation.table_name = target
        and mutation.row_key = flux.present_key(target, wanted)
        and mutation.operation = any (operations)
        and not mutation.rolled_back
        and flux.has_values(mutation, wanted)
    order by mutation.id desc
    limit 1;

    if not found then
        return query
        select mutation.*
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.operation = any (operations)
            and (not mutation.rolled_back or mutation.request_id = during)
            and flux.has_values(mutation, wanted)
        order by mutation.id desc
        limit 1;
    end if;
end
$$;

comment on function flux.last_write_of(text, jsonb, text[], uuid) is
    'The latest committed write that put these values into a table, or for deletes took them out; attempts of the request given count too.';
