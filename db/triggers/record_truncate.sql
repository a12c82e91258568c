create or replace function flux.record_truncate()
    returns trigger
    language plpgsql
    volatile
    security definer
    set search_path = ''
    set timezone = 'UTC'
    set datestyle = 'ISO, MDY'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
    set lc_monetary = 'C'
as $$
declare
    request uuid := flux.current_request_id();
    actor   text := case when request is null then flux.current_actor() end;
    depth   smallint := nullif(pg_trigger_depth(), 1);
begin
    -- An older snapshot need not show the rows that go: rather none than the wrong ones.
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        insert into flux.state_mutations (request_id, span_id, table_name, operation, actor, trigger_depth)
        values (request, flux.current_span_id(), tg_argv[0], 'TRUNCATE', actor, depth);
        return null;
    end if;

    execute format(
        $insert$
        insert into flux.state_mutations (
            request_id, span_id, table_name, operation, row_key, old_values, actor, trigger_depth
        )
        select $1, $2, $3, 'TRUNCATE', %s, %s, $4, $5
        from only %s as gone
        $insert$,
        flux.encoded_key(tg_relid, 'gone'),
        flux.encoded_row(tg_relid, 'gone'),
        tg_relid::regclass
    )
    using request, flux.current_span_id(), tg_argv[0], actor, depth;

    return null;
end
$$;

comment on function flux.record_truncate() is
    'Before a truncate, records each row that goes; one mutation without a row where the transaction''s snapshot cannot tell them.';

revoke all on function flux.record_truncate() from public;
