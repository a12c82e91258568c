create or replace function flux.jobs_matching(
    in_state text default null,
    in_queue text default null,
    for_function text default null,
    most integer default null
)
    returns setof flux.queue
    language sql
    stable
    set search_path = ''
as $$
    select line.*
    from flux.queue as line
    where (in_state is null or line.state = in_state)
        and (in_queue is null or line.queue = in_queue)
        and (for_function is null or line.function = for_function)
    order by line.state <> 'running', line.priority desc, line.run_at, line.job_id
    limit most
$$;

comment on function flux.jobs_matching(text, text, text, integer) is
    'Unfinished jobs in the order in which they run, those running first; `flux queue list` shows them.';
