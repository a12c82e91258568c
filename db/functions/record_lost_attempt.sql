create or replace function flux.record_lost_attempt(
    job flux.jobs,
    lost_request uuid,
    lost_at timestamptz,
    message text
)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    failure jsonb := jsonb_build_object('type', 'Crashed', 'message', message, 'code', 'XF211');
begin
    if exists (select from flux.trace_requests as request where request.request_id = lost_request) then
        return;
    end if;

    insert into flux.trace_requests (
        request_id, kind, function, input, status, outcome, error_type, error_message, error_code, error_signature,
        started_at, trace_id, parent_request_id, parent_span_id, attempt, attributes
    )
    values (
        lost_request, job.kind, job.function,
        flux.redacted(job.input, '{}', flux.setting_names('redact')),
        500, 'crashed', 'Crashed', message, 'XF211',
        left(encode(sha256(convert_to('crashed|' || job.function, 'UTF8')), 'hex'), 12), lost_at,
        job.trace_id, job.parent_request_id, job.parent_span_id, job.attempt - 1, flux.job_attributes(job)
    );

    insert into flux.execution_spans (request_id, span_id, parent_id, kind, name, started_at, error)
    values
        (lost_request, 1, null, 'gateway', job.kind, lost_at, failure),
        (lost_request, 2, 1, 'function', job.function, lost_at, failure);
end
$$;

comment on function flux.record_lost_attempt(flux.jobs, uuid, timestamptz, text) is
    'Writes the record of an attempt whose worker was lost, as crashed, unless it is there.';

revoke all on function flux.record_lost_attempt(flux.jobs, uuid, timestamptz, text) from public;
