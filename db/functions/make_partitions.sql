create or replace function flux.make_partitions(days_ahead integer default 7)
    returns setof text
    language plpgsql
    volatile
    set search_path = ''
    set timezone = 'UTC'
as $$
declare
    parent text;
    day    date;
    made   text;
begin
    -- One node at a time; the other finds them made.
    perform pg_advisory_xact_lock(hashtextextended('flux.make_partitions', 0));

    foreach parent in array array[
        'trace_requests', 'execution_spans', 'state_mutations', 'replay_mutations', 'finished_jobs', 'events'
    ]
    loop
        for day in select generate_series(current_date, current_date + days_ahead, interval '1 day')::date
        loop
            made := flux.make_partition(parent, day);
            if made is not null then
                return next made;
            end if;
        end loop;
    end loop;
end
$$;

comment on function flux.make_partitions(integer) is
    'Makes the record tables'' partitions of today and the days ahead, in UTC; gives the names of those it made.';

revoke all on function flux.make_partitions(integer) from public;
