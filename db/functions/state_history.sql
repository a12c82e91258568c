create or replace function flux.state_history(
    target text,
    row_key jsonb,
    since timestamptz default null,
    most integer default null
)
    returns table (
        id            bigint,
        recorded_at   timestamptz,
        operation     text,
        change        text,
        rolled_back   boolean,
        request_id    uuid,
        span_id       integer,
        method        text,
        path          text,
        function      text,
        code_sha      text,
        actor         text,
        row_key       jsonb,
        previous_key  jsonb,
        new_values    jsonb,
        old_values    jsonb,
        mutations     bigint
    )
    language sql
    stable
    set search_path = ''
as $$
    select latest.*
    from (
        select
            mutation.id,
            mutation.recorded_at,
            mutation.operation,
            flux.change_text(mutation),
            mutation.rolled_back,
            mutation.request_id,
            mutation.span_id,
            request.method,
            request.path,
            request.function,
            request.code_sha,
            coalesce(mutation.actor, request.actor),
            mutation.row_key,
            mutation.previous_key,
            mutation.new_values,
            mutation.old_values,
            count(*) over ()
        from flux.row_mutations(target, state_history.row_key) as mutation
        left join flux.trace_requests as request on request.request_id = mutation.request_id
        where mutation.recorded_at >= coalesce(since, '-infinity')
        order by mutation.id desc
        limit most
    ) as latest
    order by latest.id
$$;

comment on function flux.state_history(text, jsonb, timestamptz, integer) is
    'Every change ever made to a row, oldest first, with the request that made it; attempts that were rolled back too.';
