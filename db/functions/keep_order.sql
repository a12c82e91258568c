create or replace function flux.keep_order(recorded_table text, recorded_key jsonb, depth smallint)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    later bigint;
begin
    for later in
        select mutation.id
        from flux.state_mutations as mutation
        where mutation.table_name = recorded_table
            and (mutation.row_key = recorded_key or mutation.previous_key = recorded_key)
            and mutation.xact_id = pg_current_xact_id()
            and mutation.trigger_depth > coalesce(depth, 1)
            and mutation.id > (
                -- The last but one of this depth: the last is the one just written.
                select coalesce(min(latest.id), 0)
                from (
                    select same.id
                    from flux.state_mutations as same
                    where same.table_name = recorded_table
                        and same.row_key = recorded_key
                        and same.xact_id = pg_current_xact_id()
                        and coalesce(same.trigger_depth, 1) <= coalesce(depth, 1)
                    order by same.id desc
                    limit 1 offset 1
                ) as latest
            )
        order by mutation.id
    loop
        update flux.state_mutations
        set id = nextval('flux.mutation_id')
        where id = later
            and xact_id = pg_current_xact_id();
    end loop;
end
$$;

comment on function flux.keep_order(text, jsonb, smallint) is
    'Puts writes made by triggers of a statement after the statement''s own write of that row, which Postgres reports later.';

revoke all on function flux.keep_order(text, jsonb, smallint) from public;
