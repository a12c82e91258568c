create or replace function flux.enqueue(
    function text,
    input jsonb default '{}',
    queue text default null,
    delay interval default null,
    run_at timestamptz default null,
    key text default null,
    unique_for interval default null,
    priority integer default null,
    max_attempts integer default null,
    ordering_key text default null
)
    returns bigint
    language sql
    volatile
    security definer
    set search_path = ''
as $$
    select flux.add_job(
        kind => 'job',
        function => function,
        input => input,
        queue => queue,
        run_at => coalesce(run_at, now() + delay),
        key => key,
        unique_for => unique_for,
        priority => priority,
        max_attempts => max_attempts,
        ordering_key => ordering_key
    )
$$;

comment on function flux.enqueue(
    text, jsonb, text, interval, timestamptz, text, interval, integer, integer, text
) is
    'Pushes a job in this transaction, so that it exists exactly if the data does: select flux.enqueue(''send_welcome'', ''{"user_id": 42}''); gives its id.';

revoke all on function flux.enqueue(
    text, jsonb, text, interval, timestamptz, text, interval, integer, integer, text
) from public;

grant execute on function flux.enqueue(
    text, jsonb, text, interval, timestamptz, text, interval, integer, integer, text
) to flux_app;
