create or replace function flux.recent_failures(with_refused boolean default false, most integer default 200)
    returns setof flux.trace_requests
    language sql
    stable
    set search_path = ''
as $$
    select line.*
    from flux.trace_requests as line
    where line.outcome <> 'ok'
        and line.outcome <> 'running'
        and line.kind <> 'replay'
        and (with_refused or line.outcome <> 'refused')
    order by line.started_at desc
    limit most
$$;

comment on function flux.recent_failures(boolean, integer) is
    'The latest requests that failed, newest first; refused ones only where they are asked for; replays are left out.';
