create or replace function flux.record_request(request jsonb, spans jsonb, mutations jsonb default null)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    subject flux.trace_requests := jsonb_populate_record(null::flux.trace_requests, request);
    step    flux.execution_spans;
begin
    if (request ->> 'committed')::boolean then
        subject.xact_id := pg_current_xact_id();
    end if;

    if (request ->> 'again')::boolean then
        update flux.trace_requests set
            output          = subject.output,
            status          = subject.status,
            outcome         = subject.outcome,
            error_type      = subject.error_type,
            error_message   = subject.error_message,
            error_code      = subject.error_code,
            error_location  = subject.error_location,
            error_stack     = subject.error_stack,
            error_signature = subject.error_signature,
            duration_us     = subject.duration_us,
            attempt         = subject.attempt,
            xact_id         = coalesce(subject.xact_id, xact_id),
            attributes      = subject.attributes
        where request_id = subject.request_id
            and started_at = subject.started_at
            and outcome = 'running';

        if not found then
            return;
        end if;
    else
        insert into flux.trace_requests
        select (subject).*;
    end if;

    step.request_id := subject.request_id;

    insert into flux.execution_spans
    select *
    from jsonb_populate_recordset(step, spans);

    if mutations is not null then
        insert into flux.state_mutations
        select *
        from jsonb_populate_recordset(
            null::flux.state_mutations,
            (select jsonb_agg(kept || '{"rolled_back": true}') from jsonb_array_elements(mutations) as kept)
        );
    end if;
end
$$;

comment on function flux.record_request(jsonb, jsonb, jsonb) is
    'Writes a request, its spans, and what it had written before it was rolled back, each given as JSON of the table''s own columns; the request also says with "committed" whether its data is in this transaction.';

revoke all on function flux.record_request(jsonb, jsonb, jsonb) from public;
