create or replace function flux.has_values(mutation flux.state_mutations, wanted jsonb)
    returns boolean
    language sql
    immutable
as $$
    select not exists (
        select
        from pg_catalog.jsonb_each_text(wanted) as part
        where part.value is distinct from coalesce(
            coalesce((mutation).new_values, (mutation).old_values) operator(pg_catalog.->>) part.key,
            (mutation).row_key operator(pg_catalog.->>) part.key
        )
    )
$$;

comment on function flux.has_values(flux.state_mutations, jsonb) is
    'Whether a write put these values, given as texts, into a row, or took a row with them out. Has no settings, so that callers inline it.';
