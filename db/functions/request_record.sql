create or replace function flux.request_record(request uuid)
    returns setof flux.trace_requests
    language sql
    stable
    set search_path = ''
as $$
    select asked.*
    from flux.trace_requests as asked
    where asked.request_id = request
    order by asked.started_at
    limit 1
$$;

comment on function flux.request_record(uuid) is
    'The request row of one request; of two by the same id, the first.';
