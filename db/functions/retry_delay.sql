create or replace function flux.retry_delay(attempt integer)
    returns interval
    language sql
    volatile
    set search_path = ''
as $$
    select least(3600, 2 ^ least(attempt - 1, 20)) * (0.5 + random()) * interval '1 second'
$$;

comment on function flux.retry_delay(integer) is
    'How long a job waits after a failed attempt: a second, twice as long after each further one, an hour at most, give or take half.';
