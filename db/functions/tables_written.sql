create or replace function flux.tables_written(requests uuid[])
    returns table (
        request_id  uuid,
        tables      text[]
    )
    language sql
    stable
    set search_path = ''
as $$
    select mutation.request_id, array_agg(distinct mutation.table_name::text)
    from flux.state_mutations as mutation
    where mutation.request_id = any (requests)
    group by mutation.request_id
$$;

comment on function flux.tables_written(uuid[]) is
    'The tables that some requests wrote to, attempts that were rolled back and writes of triggers too.';
