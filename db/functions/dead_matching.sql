create or replace function flux.dead_matching(
    in_queue text default null,
    for_function text default null,
    most integer default null,
    in_states text[] default '{dead}'
)
    returns setof flux.dead_jobs
    language sql
    stable
    set search_path = ''
as $$
    select line.*
    from flux.dead_jobs as line
    where line.state = any (in_states)
        and (in_queue is null or line.queue = in_queue)
        and (for_function is null or line.function = for_function)
    order by line.finished_at desc
    limit most
$$;

comment on function flux.dead_matching(text, text, integer, text[]) is
    'Jobs that ended without being done, the latest first; `flux queue dead` shows those whose last attempt failed.';
