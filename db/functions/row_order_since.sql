create or replace function flux.row_order_since(
    moment timestamptz,
    until timestamptz
)
    returns table (
        earlier  text,
        later    text
    )
    language sql
    stable
    set search_path = ''
as $$
    select distinct written.before::text, written.xact_id::text
    from (
        select
            mutation.xact_id,
            lag(mutation.xact_id) over (
                partition by mutation.table_name, mutation.row_key
                order by mutation.id
            ) as before
        from flux.state_mutations as mutation
        where not mutation.rolled_back
            and mutation.row_key is not null
            and mutation.recorded_at >= moment - interval '1 minute'
            and mutation.recorded_at <= until + interval '1 minute'
    ) as written
    where written.before <> written.xact_id
$$;

comment on function flux.row_order_since(timestamptz, timestamptz) is
    'Transactions that wrote the same row one after the other: the earlier had ended when the later wrote.';
