create or replace function flux.oldest_day()
    returns timestamptz
    language sql
    stable
    set search_path = ''
    set timezone = 'UTC'
as $$
    select min(to_date(right(child.relname, 10), 'YYYY_MM_DD'))::timestamptz
    from pg_inherits as inherits
    join pg_class as child on child.oid = inherits.inhrelid
    where inherits.inhparent = 'flux.state_mutations'::regclass
        and child.relname ~ '_\d{4}_\d{2}_\d{2}$'
$$;

comment on function flux.oldest_day() is
    'When the oldest day begins whose mutations are kept in a partition of their own; those before it were forgotten, or never were.';
