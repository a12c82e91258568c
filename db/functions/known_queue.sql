create or replace function flux.known_queue(name text)
    returns boolean
    language sql
    stable
    set search_path = ''
as $$
    select exists (select from flux.queues where queue = name)
        or exists (select from flux.jobs where queue = name)
        or exists (select from flux.job_defaults where queue = name)
        or exists (select from flux.finished_jobs where queue = name)
        or name = 'default'
$$;

comment on function flux.known_queue(text) is
    'Whether anything was ever in a queue of this name, or is meant for it, so that a typo is noticed.';
