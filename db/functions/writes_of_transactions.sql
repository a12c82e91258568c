create or replace function flux.writes_of_transactions(
    transactions text[],
    since timestamptz,
    until timestamptz
)
    returns table (
        xact_id   text,
        mutation  jsonb
    )
    language sql
    stable
    set search_path = ''
as $$
    select written.xact_id::text, to_jsonb(written)
    from flux.state_mutations as written
    where written.xact_id = any (transactions::xid8[])
        and written.recorded_at between since and until
        and not written.rolled_back
    order by written.id
$$;

comment on function flux.writes_of_transactions(text[], timestamptz, timestamptz) is
    'What some transactions wrote between two moments, whole, in order.';
