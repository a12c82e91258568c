create or replace function flux.record_replay(request jsonb, spans jsonb, mutations jsonb default null)
    returns void
    language sql
    volatile
    set search_path = ''
as $$
    insert into flux.trace_requests
    select *
    from jsonb_populate_record(
        null::flux.trace_requests,
        -- Numbers of the sandbox's transactions mean nothing here.
        request || '{"kind": "replay", "xact_id": null, "snapshot": null}'
    );

    insert into flux.execution_spans
    select *
    from jsonb_populate_recordset(null::flux.execution_spans, spans);

    insert into flux.replay_mutations
    select *
    from jsonb_populate_recordset(null::flux.replay_mutations, coalesce(mutations, '[]'));
$$;

comment on function flux.record_replay(jsonb, jsonb, jsonb) is
    'Keeps the record of a replay when its sandbox is gone: its rows of trace_requests and execution_spans, and what it wrote there, apart from the history of the real tables.';

revoke all on function flux.record_replay(jsonb, jsonb, jsonb) from public;
